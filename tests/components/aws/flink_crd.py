"""The operator's own definition of a `FlinkDeployment`, as a JSON schema."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema
import pytest
import yaml

from tests.unit.environment.declarations import REPOSITORY

DEFINITION = REPOSITORY.parent / "shared" / "crds" / "flinkdeployments.flink.apache.org-v1.yml"
"""Beside the checkout; data for tests, of which the project has no copy."""


def validate(spec: dict[str, Any]) -> None:
    """Raises jsonschema.ValidationError as the API server would refuse; skips without the definition."""
    jsonschema.Draft202012Validator(_schema()).validate(spec)


@cache  # Ten thousand lines of YAML.
def _schema() -> dict[str, Any]:
    if not DEFINITION.is_file():
        pytest.skip(
            f"not proved: that the operator's definition takes the deployment; {DEFINITION} is not there"
        )
    (version,) = yaml.safe_load(DEFINITION.read_text(encoding="utf-8"))["spec"]["versions"]
    return _strict(version["schema"]["openAPIV3Schema"]["properties"]["spec"])


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The API server with field validation `Strict` refuses what a definition does not name."""
    made = dict(schema)
    if "properties" in made:
        made["properties"] = {name: _strict(inner) for name, inner in made["properties"].items()}
        if not made.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = False
    if isinstance(made.get("items"), dict):
        made["items"] = _strict(made["items"])
    return made
