"""Who gets killed: one process of each kind, and what comes in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psutil

from tests.pipeline.stack import LiveStack

PYTHON_WORKER = "pyflink.fn_execution.beam.beam_boot"


@dataclass(frozen=True)
class Victim:
    """A kind of process: those of it that run now, the one to kill first."""

    name: str
    running: Callable[[LiveStack], list[psutil.Process]]

    def kill(self, stack: LiveStack) -> frozenset[int]:
        """`kill -9` one; returns the pids that ran before."""
        found = self.running(stack)
        found[0].kill()
        return frozenset(process.pid for process in found)

    def is_back(self, stack: LiveStack, before: frozenset[int]) -> bool:
        """Whether one runs that did not run before."""
        return any(process.pid not in before for process in self.running(stack))


def program(name: str) -> Victim:
    """A process of the supervisor's."""
    return Victim(name, lambda stack: _alive([pid for n, pid in stack.processes().items() if n == name]))


def _busy_taskmanagers(stack: LiveStack) -> list[psutil.Process]:
    """TaskManagers, those with the most tasks first."""
    found = stack.rest(stack.flink.endpoint, "/taskmanagers")["taskmanagers"]
    busy = {each["id"]: each["slotsNumber"] - each["freeSlots"] for each in found}
    programs = {n: pid for n, pid in stack.processes().items() if n.startswith("taskmanager-")}
    return _alive(sorted(programs.values(), key=lambda pid: _busy(programs, busy, pid)))


def _busy(programs: dict[str, int], busy: dict[str, int], pid: int) -> int:
    name = next(name for name, each in programs.items() if each == pid)
    return -busy.get(name, 0)


def _python_workers(stack: LiveStack) -> list[psutil.Process]:
    return [process for process in stack.members() if PYTHON_WORKER in _command(process)]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _alive(pids: list[int]) -> list[psutil.Process]:
    return [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]


VICTIMS = (
    program("postgres"),
    program("kafka"),
    program("connect"),
    program("zookeeper"),
    program("jobmanager"),
    Victim("taskmanager", _busy_taskmanagers),
    Victim("python-worker", _python_workers),
    program("object-store"),
)
