"""What components have made in a cluster, and a cluster without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headrace.aws import cluster_facts
from tests.engine.aws.stage import Made
from tests.standins.kubernetes.api import DEFINITIONS, Api, of
from tests.standins.place import Place
from tests.standins.servers import ApiServer

OWN_SPACES = {"default", "kube-node-lease", "kube-public", "kube-system"}
"""Namespaces that every cluster has."""
KINDS = {
    "v1": ("ConfigMap", "ResourceQuota", "Service", "ServiceAccount"),
    "apps/v1": ("DaemonSet",),
    "networking.k8s.io/v1": ("NetworkPolicy",),
    "policy/v1": ("PodDisruptionBudget",),
    "rbac.authorization.k8s.io/v1": ("Role", "RoleBinding"),
    "karpenter.sh/v1": ("NodePool",),
    "eks.amazonaws.com/v1": ("NodeClass",),
    "flink.apache.org/v1beta1": ("FlinkDeployment",),
}
"""What components make in a cluster, beside namespaces."""


def place_with(folder: Path, aws_endpoint: str, server: ApiServer) -> Place:
    """An account and a cluster."""
    return Place(
        folder,
        aws_endpoint=aws_endpoint,
        kubernetes_endpoint=server.address,
        kubernetes_token=server.token,
        kubernetes_authority=server.authority,
    )


def kubeconfig_of(cluster: Made) -> str:
    """As the component makes it of what EKS says."""
    facts = (cluster.id, *(cluster.state[name] for name in ("arn", "endpoint")))
    return cluster_facts._kubeconfig((*facts, cluster.state["certificateAuthority"]["data"]), None)


def objects(api: Api) -> Iterator[dict[str, Any]]:
    """What components have made."""
    for group_version, kinds in KINDS.items():
        for kind in kinds:
            if api.serves(group_version, kind):
                yield from (each for each in api.all(group_version, kind) if not _own(each))
    for each in api.all("v1", "Namespace"):
        if each["metadata"]["name"] not in OWN_SPACES:
            yield each


def _own(found: dict[str, Any]) -> bool:
    """Whether the API server made it for itself."""
    name, space = found["metadata"]["name"], found["metadata"].get("namespace")
    names = {"kubernetes", "kube-root-ca.crt", "default"}
    beginnings = ("system:", "kube-apiserver", "extension-apiserver")
    return name in names or name.startswith(beginnings) or space == "kube-public"


def enforce_policies(api: Api) -> None:
    """What the owner of a cluster that is there has done."""
    settings = of("ConfigMap", "amazon-vpc-cni", namespace="kube-system")
    api.apply(settings | {"data": {"enable-network-policy-controller": "true"}})


def clear(api: Api) -> None:
    """Remove it, and the definitions that the operator's chart has brought."""
    for each in list(objects(api)):
        api.delete(each)
    for each in api.all(DEFINITIONS, "CustomResourceDefinition"):
        if each["spec"]["group"] == "flink.apache.org":
            api.delete(each)
