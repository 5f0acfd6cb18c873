"""Rules of network policies: from whom, to whom, at which ports."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from headrace.errors import HeadraceError

HTTP, HTTPS = 80, 443
POD_IDENTITY_AGENT = "169.254.170.23/32"
"""On each node; pods get their role's credentials there."""
NAMES: dict[str, Any] = {"ports": [{"protocol": each, "port": 53} for each in ("UDP", "TCP")]}
"""To anywhere: Auto Mode's DNS runs on each node, in no pod that a selector could name."""
NAMESPACE_LABEL = "kubernetes.io/metadata.name"


def network_policy(
    name: str,
    called: str,
    namespace: pulumi.Input[str],
    whose: Mapping[str, str],
    opts: pulumi.ResourceOptions,
    **ways: Sequence[Mapping[str, Any]],
) -> k8s.networking.v1.NetworkPolicy:
    """Closes the pods with the labels of `whose` in the given `ways`, ``ingress`` and ``egress``, but for the
    rules of each; without labels it is all of the namespace's pods.
    """
    spec: Any = {
        "pod_selector": {"match_labels": dict(whose)} if whose else {},
        "policy_types": [way.capitalize() for way in ways],
        **{way: list(rules) for way, rules in ways.items() if rules},
    }
    return k8s.networking.v1.NetworkPolicy(
        name, metadata={"name": called, "namespace": namespace}, spec=spec, opts=opts
    )


def rule(side: str, peers: Sequence[Mapping[str, Any]], *ports: int) -> dict[str, Any]:
    """One rule, whose `side` is ``from`` or ``to``."""
    return {side: list(peers), "ports": at(*ports)}


def at(*ports: int) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in ports]


def from_anywhere_inside() -> list[dict[str, Any]]:
    """Pods of every namespace."""
    return [{"namespaceSelector": {}}]


def blocks(cidrs: Iterable[pulumi.Input[str]]) -> list[dict[str, Any]]:
    return [{"ipBlock": {"cidr": cidr}} for cidr in cidrs]


def pods(labels: Mapping[str, str], *namespaces: str) -> dict[str, Any]:
    """Pods with these labels, of the policy's own namespace or of those that are named."""
    peer: dict[str, Any] = {"podSelector": {"matchLabels": dict(labels)}}
    if namespaces:
        peer["namespaceSelector"] = {
            "matchExpressions": [{"key": NAMESPACE_LABEL, "operator": "In", "values": list(namespaces)}]
        }
    return peer


def refuse_open_blocks(what: str, cidrs: Iterable[pulumi.Input[str]]) -> None:
    """Of blocks that are known already.

    Raises:
        HeadraceError: one is no IPv4 block, or is everybody.
    """
    for cidr in cidrs:
        if not isinstance(cidr, str):
            continue
        try:
            block = ipaddress.IPv4Network(cidr)
        except ValueError as invalid:
            raise HeadraceError(f"{what}: {invalid}; allowed: IPv4 blocks such as 10.0.0.0/20") from invalid
        if block.prefixlen == 0:
            raise HeadraceError(f"{what}: given {cidr}; allowed: blocks of your own, not everybody")
