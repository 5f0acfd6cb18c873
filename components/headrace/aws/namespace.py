"""A namespace as every namespace of a stack is: restricted pods, bounded, closed but for what is said."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from headrace.aws.traffic import NAMES, network_policy
from headrace.errors import HeadraceError

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""An RFC 1123 label, as Kubernetes wants of a namespace's name."""
POD_SECURITY = "pod-security.kubernetes.io"


@dataclass(frozen=True, kw_only=True)
class NamespaceArgs:
    """What all of the namespace's pods may ask for together.

    Raises:
        HeadraceError: Kubernetes takes no such name, or a bound is not above zero.
    """

    namespace: str
    vcpu: int
    memory_mib: int
    labels: Mapping[str, str]

    def __post_init__(self) -> None:
        if not LABEL.fullmatch(self.namespace):
            raise HeadraceError(
                f"namespace: given {self.namespace!r}; allowed: 1 to 63 lowercase letters, digits and dashes"
            )
        if self.vcpu <= 0 or self.memory_mib <= 0:
            raise HeadraceError(
                f"namespace {self.namespace}: given {self.vcpu} vCPU and {self.memory_mib} MiB; "
                "allowed: more than 0 of both"
            )


class Namespace(pulumi.ComponentResource):
    """Pods of the restricted standard alone, with a quota. Nothing comes in or goes out but names from DNS.

    What a workload needs beyond that is a policy of its own beside these.

    >>> flink = Namespace(
    ...     "dev-flink",
    ...     NamespaceArgs(namespace="flink", vcpu=16, memory_mib=65_536, labels=tags.shared),
    ...     pulumi.ResourceOptions(provider=cluster.provider),
    ... )  # doctest: +SKIP
    """

    namespace: pulumi.Output[str]

    def __init__(self, name: str, args: NamespaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("headrace:aws:Namespace", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        made = k8s.core.v1.Namespace(
            name,
            metadata={
                "name": args.namespace,
                "labels": {
                    **args.labels,
                    **{f"{POD_SECURITY}/{mode}": "restricted" for mode in ("enforce", "audit", "warn")},
                },
            },
            opts=child,
        )
        self.namespace = made.metadata["name"]
        memory = f"{args.memory_mib}Mi"
        k8s.core.v1.ResourceQuota(
            name,
            metadata={"name": "bounds", "namespace": self.namespace},
            spec={
                "hard": {
                    "requests.cpu": str(args.vcpu),
                    "requests.memory": memory,
                    "limits.memory": memory,
                }
            },
            opts=child,
        )
        network_policy(f"{name}-closed", "closed", self.namespace, {}, child, ingress=[], egress=[])
        network_policy(f"{name}-names", "names", self.namespace, {}, child, egress=[NAMES])
        self.register_outputs({"namespace": self.namespace})
