"""`headrace up` is killed at some moment. The next one ends well: nothing twice, nothing to unlock."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import pytest

from tests.pipeline.plugin import DECLARATION
from tests.pipeline.sizes import SIZES
from tests.pipeline.stack import LiveStack, changed, renamed
from tests.pipeline.waiting import until

PORT_BASE = 27100
ENDS_WITHIN_S = 180
CHANGES = (
    {"recovery": {"max_replay": "8s"}, "substrate": {"taskmanagers": 3}},
    {"recovery": {"max_replay": "10s"}, "substrate": {"taskmanagers": 2}},
)
"""Each differs from the other in every agent's job and in the processes of Flink."""

LATEST = 0.8
"""Share of an undisturbed `up` before which all moments are: the next one may be quicker than the last."""

How = Literal["interrupted", "killed"]
From = Literal["nothing", "a running stack"]


@dataclass
class Interrupted:
    """The stack that suffers this, and how long an undisturbed `up` of it takes."""

    folder: Path
    stack: LiveStack
    seconds: dict[From, float]
    changes: int = 0

    def change(self) -> None:
        """Another declaration than the last one."""
        change = CHANGES[self.changes % len(CHANGES)]
        self.changes += 1
        self.stack = changed(self.stack.declaration, self.folder / str(self.changes), change)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interrupted]:
    folder = tmp_path_factory.mktemp("interrupted")
    stack = renamed(DECLARATION, folder / "first", "interrupted", PORT_BASE)
    stack.clean()
    made = Interrupted(folder, stack, {})
    try:
        made.seconds["nothing"] = seconds_of_up(made.stack)
        if "a running stack" in (start for start, _, _ in moments(SIZES.interruptions)):
            made.change()
            made.seconds["a running stack"] = seconds_of_up(made.stack)
        yield made
    finally:
        made.stack.clean()


def moments(count: int) -> Iterator[tuple[From, How, float]]:
    """From where, how, and after which share of an undisturbed `up`: spread evenly, ways and starts mixed."""
    for at in range(count):
        start: From = "a running stack" if at % 2 else "nothing"
        how: How = "killed" if (at // 2 + at) % 2 else "interrupted"
        yield start, how, LATEST * (at + 0.5) / count


@pytest.mark.parametrize(
    ("start", "how", "share"),
    [
        pytest.param(*moment, id=f"from {moment[0]}, {moment[1]} at {moment[2]:.0%}")
        for moment in moments(SIZES.interruptions)
    ],
)
def test_up_after_an_interrupted_up_ends_well(
    interrupted: Interrupted, start: From, how: How, share: float
) -> None:
    if start == "nothing":
        interrupted.stack.clean()
    else:
        interrupted.change()
    stack = interrupted.stack
    stopped(stack.start("up"), how, interrupted.seconds[start] * share)
    stack.up()
    nothing_is_there_twice(stack)
    until("every job and connector runs", stack.is_whole, 60)


def seconds_of_up(stack: LiveStack) -> float:
    started = time.monotonic()
    stack.up()
    return time.monotonic() - started


def stopped(command: subprocess.Popen[str], how: How, after_s: float) -> None:
    """End a command after a time, as Ctrl-C does (its whole group), or the wrapper alone and for good."""
    try:
        command.communicate(timeout=after_s)
        pytest.fail(f"up ended by itself within {after_s:.0f} s")
    except subprocess.TimeoutExpired:
        pass
    if how == "interrupted":
        os.killpg(command.pid, signal.SIGINT)
        output, _ = command.communicate(timeout=ENDS_WITHIN_S)
        assert command.returncode != 0, output
    else:
        # Its engine and plugins live on as orphans, and hold its output open.
        command.kill()
        command.wait()
        assert command.stdout is not None
        command.stdout.close()


def nothing_is_there_twice(stack: LiveStack) -> None:
    """One supervisor, one process of each program, one job of each agent, and no command's leftovers."""
    until("the command's plugins have ended", lambda: not stack.session_members(), ENDS_WITHIN_S)
    members = stack.members()
    assert sum("supervisor.supervisord" in process.cmdline() for process in members) == 1
    standby = {each["name"] for each in stack.json("status")["processes"] if each["state"] == "STANDBY"}
    assert standby == {"taskmanager-3"} - stack.processes().keys(), "the one above those that always run"
    assert stack.processes().keys() | standby == {path.stem for path in stack.files.programs.glob("*.conf")}
    commands = Counter(command for process in members if (command := command_of_a_server(process)))
    twice = {command: count for command, count in commands.items() if count > 1}
    assert commands
    assert not twice, twice
    assert stack.job_ids().keys() == set(stack.agents)


def command_of_a_server(process: psutil.Process) -> str | None:
    """The command line of a process that listens: a second one would do harm."""
    try:
        listens = any(each.status == psutil.CONN_LISTEN for each in process.net_connections("tcp"))
        return " ".join(process.cmdline()) if listens else None
    except psutil.Error:
        return None
