"""The tests' agent, brought to a version by `headrace up`."""

from __future__ import annotations

from pathlib import Path

from headrace.upgrades.record import FolderHistory, Upgrade
from headrace_agents.records import Reason
from tests.pipeline.stack import Done, LiveStack, changed

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
