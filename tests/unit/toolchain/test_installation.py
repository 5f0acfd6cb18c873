from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

import pytest

from headrace.toolchain import environments, installation, pulumi_cli, requirements, runtimes
from headrace.toolchain.console import Console, Step, StepFailed


@pytest.fixture(autouse=True)
def machine_with_everything(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is missing, nothing is installed, and what setup makes are folders in an empty cache."""
    monkeypatch.setattr(requirements, "missing", lambda _: [])
    monkeypatch.setattr(environments, "ENVIRONMENTS", ())
    monkeypatch.setattr(pulumi_cli, "installer_reachable", lambda: False)
    monkeypatch.setattr(pulumi_cli, "ready", (cache / "pulumi").is_dir)
    monkeypatch.setattr(runtimes, "ready", (cache / "runtimes").is_dir)

    def make_pulumi(step: Step, *, installer: bool) -> None:
        (cache / "pulumi").mkdir(parents=True)

    def make_runtimes(step: Step, agents: Future[None] | None) -> None:
        (cache / "runtimes").mkdir(parents=True)

    monkeypatch.setattr(pulumi_cli, "make", make_pulumi)
    monkeypatch.setattr(runtimes, "make", make_runtimes)


def test_what_is_there_is_not_made_again(console: Console, tmp_path: Path) -> None:
    first = installation.setup(console)
    assert sorted(step.name for step in first.steps) == ["Pulumi CLI (built from its Go modules)", "runtimes"]
    assert installation.setup(Console(console.stream, tmp_path / "logs")).steps == ()


def test_a_failure_stops_the_other_steps_and_is_the_one_that_is_told(
    console: Console, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    started = cache / "started"

    def build_for_long(step: Step, *, installer: bool) -> None:
        step.run("/bin/sh", "-c", f"touch {started}; sleep 600")

    def fail_once_it_builds(step: Step, agents: Future[None] | None) -> None:
        step.run("/bin/sh", "-c", f"until [ -e {started} ]; do sleep 0.01; done; echo no route; exit 1")

    monkeypatch.setattr(pulumi_cli, "make", build_for_long)
    monkeypatch.setattr(runtimes, "make", fail_once_it_builds)

    with pytest.raises(StepFailed, match=r"(?s)runtimes: sh returned 1.*no route"):
        installation.setup(console)
    assert console.finished == []
