"""The shipped project to run commands in, and agents' shards that answer without Flink or Kafka."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from headrace.cli import app
from headrace.commands import agent_settings, agents, deadletters, memory, reviews
from headrace.operations.control import Hearing
from headrace_agents.control import Command, Report
from headrace_agents.spec import AgentJobSpec

CHECKOUT = Path(__file__).parents[3]


def run(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=answer, env={"COLUMNS": "200"})


@pytest.fixture(autouse=True)
def in_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project = tmp_path / "project"
    (project / "stacks").mkdir(parents=True)
    for name in ("Pulumi.yaml", "stacks/Pulumi.local.yaml"):
        # No command of a test reaches a stack that happens to run on this machine.
        text = (CHECKOUT / name).read_text().replace("port_base: 17000", "port_base: 1100")
        (project / name).write_text(text)
    monkeypatch.chdir(project)
    return project


@dataclass
class Shards:
    """What the shards of any agent say: reports by shard; a shard without any is done with nothing."""

    reports: dict[int, Sequence[dict[str, Any]]] = field(default_factory=dict)
    told: list[Command] = field(default_factory=list)

    def tell(
        self,
        spec: AgentJobSpec,
        command: Command,
        _wait_s: float,
        heard: Callable[[Report, Hearing], None],
    ) -> Hearing:
        self.told.append(command)
        hearing = Hearing(command, spec.shards)
        for shard in range(spec.shards):
            for content in self.reports.get(shard, [{"done": True}]):
                report = Report.model_validate(
                    {"command": command.id, "kind": command.kind, "shard": shard, **content}
                )
                assert hearing.take(report)
                heard(report, hearing)
        return hearing


@pytest.fixture
def shards(monkeypatch: pytest.MonkeyPatch) -> Shards:
    found = Shards()
    monkeypatch.setattr(agents, "tell", found.tell)
    for module in (agents, agent_settings, memory, deadletters, reviews):
        monkeypatch.setattr(module, "running_job", lambda *_: "job")
    return found
