"""Custom resources of a cluster: what EKS brings, and what the operator's chart brings.

The files are beside the checkout, data for tests; the project has no copy.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.standins.values import Values

FOLDER = Path(__file__).parents[4] / "shared" / "crds"
KARPENTER = "karpenter.sh_nodepools.yaml"
FLINK = "flink*.yml"


def there() -> bool:
    return (FOLDER / KARPENTER).is_file()


def of_eks() -> list[Values]:
    """Karpenter's own, and a `NodeClass` that takes anything: EKS publishes its definition nowhere."""
    return [_read(FOLDER / KARPENTER), _open("eks.amazonaws.com", "NodeClass", "nodeclasses")]


def of_operator() -> list[Values]:
    return [_read(file) for file in sorted(FOLDER.glob(FLINK))]


@cache  # Over a megabyte of YAML.
def _read(file: Path) -> Values:
    found: Values = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
    found.pop("status", None)
    return found


# The one in C takes seconds less for a megabyte.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _open(group: str, kind: str, plural: str) -> Values:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural},
            "scope": "Cluster",
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }
