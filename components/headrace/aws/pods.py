"""How every pod of a stack is kept in, and where it runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headrace.aws.node_pools import ROLE_LABEL
from headrace.environment.aws_parts import IMAGE_BY_DIGEST
from headrace.errors import HeadraceError

SECURED: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""Security context of a container."""
ZONE, HOST, CAPACITY = (
    "topology.kubernetes.io/zone",
    "kubernetes.io/hostname",
    "karpenter.sh/capacity-type",
)


def restricted(user: int) -> dict[str, Any]:
    """Security context of a pod: `user`, and nobody else's rights."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def on_nodes_of(pool: str) -> dict[str, Any]:
    """Of a pod: it runs on the nodes of `pool`, which keep others away."""
    return {
        "nodeSelector": {ROLE_LABEL: pool},
        "tolerations": [{"key": ROLE_LABEL, "operator": "Equal", "value": pool, "effect": "NoSchedule"}],
    }


def spread(over: str, labels: Mapping[str, str], *, must: bool) -> dict[str, Any]:
    """Pods with these labels are spread evenly: where they `must`, one waits rather than not be."""
    return {
        "maxSkew": 1,
        "topologyKey": over,
        "whenUnsatisfiable": "DoNotSchedule" if must else "ScheduleAnyway",
        "labelSelector": {"matchLabels": dict(labels)},
    }


def pinned(image: str, what: str = "image") -> tuple[str, str]:
    """Repository and digest; `what` says whose image it is.

    Raises:
        HeadraceError: it has no digest; a tag says nothing about what runs.
    """
    if not re.fullmatch(IMAGE_BY_DIGEST, image):
        raise HeadraceError(
            f"{what}: given {image!r}; allowed: REPOSITORY@sha256: and 64 hexadecimal digits, as tags move"
        )
    repository, _, digest = image.partition("@")
    return repository, digest
