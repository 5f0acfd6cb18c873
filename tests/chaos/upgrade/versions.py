"""The tests' agent, brought to a version by `headrace up`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from headrace.upgrades.record import FolderHistory, Upgrade
from headrace_agents.records import Reason
from tests.pipeline.stack import ENVIRONMENT, Done, LiveStack, changed

AGENT = "chronicle"
VERSIONS = "headrace_testing_agents.versions"
FIRST = "headrace_testing_agents.agents:Chronicle"
UPGRADE_TIMEOUT_S = 420
MAY_FAIL: tuple[Reason, ...] = ("handler_error",)
"""What a bad version makes of events; these stay in the ledger of the tests that come after."""


def version(stack: LiveStack, folder: Path, name: str, **change: object) -> LiveStack:
    """The stack with the agent's class `name` of the versions, and other fields of the agent."""
    entry_point = FIRST if name == "Chronicle" else f"{VERSIONS}:{name}"
    return changed(stack.declaration, folder, {"entry_point": entry_point, **change}, AGENT)


def declared(stack: LiveStack) -> dict[str, Any]:
    """The environment's fields."""
    return dict(yaml.safe_load(stack.declaration.read_text())["config"][ENVIRONMENT])


def environment(stack: LiveStack, folder: Path, **change: Any) -> LiveStack:
    """The stack with other fields of its environment."""
    document = yaml.safe_load(stack.declaration.read_text())
    document["config"][ENVIRONMENT] |= change
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / stack.declaration.name
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return LiveStack(path)


def bring_to(stack: LiveStack, folder: Path, name: str, **change: object) -> Done:
    return version(stack, folder, name, **change).run("up", timeout_s=UPGRADE_TIMEOUT_S)


def upgrades(stack: LiveStack) -> list[Upgrade]:
    """The oldest first."""
    return FolderHistory(stack.files.upgrades(AGENT)).all()


def latest(stack: LiveStack) -> Upgrade:
    return upgrades(stack)[-1]


def running(stack: LiveStack) -> str:
    """The digest of the version that runs."""
    return stack.flink.digest(stack.job_ids()[AGENT])
