"""Whether a cluster's network policies are enforced: Auto Mode does so only when it is told to."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s

SPACE, SETTINGS = "kube-system", "amazon-vpc-cni"
ENFORCED: Mapping[str, str] = {"enable-network-policy-controller": "true"}
"""Of that ConfigMap (EKS user guide, network policies with Auto Mode)."""


def enforce_policies(name: str, opts: pulumi.ResourceOptions) -> k8s.core.v1.ConfigMap:
    return k8s.core.v1.ConfigMap(
        name, metadata={"name": SETTINGS, "namespace": SPACE}, data=dict(ENFORCED), opts=opts
    )
