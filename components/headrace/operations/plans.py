"""The plan that is deployed: recorded by ``up``, compared with by ``plan --diff``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headrace.environment import load_environment
from headrace.errors import HeadraceError
from headrace.operations.stack import Stack
from headrace.plan import plan_of
from headrace.plan.differences import Difference, differences

DEPLOYED = "deployed"


def record_plan(stack: Stack) -> None:
    """Keep what the stack was brought to, beside its other files; complete or not at all."""
    path = stack.files.deployed_plan
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(stack.plan.model_dump_json(), encoding="utf-8")
    partial.replace(path)


def plan_differences(stack: Stack, before: str) -> list[Difference]:
    """What the stack's declaration changes, compared with what is deployed or with another declaration.

    Raises:
        HeadraceError: nothing was deployed, or there is no such file.
        DeclarationError: the other declaration is refused.
    """
    after = json.loads(stack.any_plan.model_dump_json())
    return differences(_deployed(stack) if before == DEPLOYED else _declared(stack, Path(before)), after)


def _deployed(stack: Stack) -> dict[str, Any]:
    path = stack.files.deployed_plan
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise HeadraceError(
            f"nothing to compare with: no `headrace up` of {stack.name} has ended yet ({path} is not there);"
            " compare with a file: --diff stacks/Pulumi.NAME.yaml"
        ) from None


def _declared(stack: Stack, path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise HeadraceError(f"--diff: given {path}; allowed: `{DEPLOYED}`, or the path of a declaration")
    # The other environment's name is no difference that a person asks for.
    return dict(json.loads(plan_of(load_environment(path, stack.name)).model_dump_json()))
