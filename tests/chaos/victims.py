"""Who gets killed: one process of each kind, and what comes in its place."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from tests.pipeline.plugin import Pipeline
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

PATIENCE_S = 240
"""How long is waited, to know by how much a promise was broken."""
PYTHON_WORKER = "pyflink.fn_execution.beam.beam_boot"


@dataclass(frozen=True)
class Victim:
    """A kind of process: those of it that run now, the one to kill first."""

    name: str
    running: Callable[[LiveStack], list[psutil.Process]]
    all_at_once: bool = False

    def kill(self, stack: LiveStack) -> frozenset[int]:
        """`kill -9` one, or all; returns the pids that ran before."""
        found = self.running(stack)
        for process in found if self.all_at_once else found[:1]:
            process.kill()
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


def kill_and_heal(pipeline: Pipeline, victim: Victim) -> float:
    """Seconds until it is back, everything runs, and every agent has decided an event from after that."""
    stack = pipeline.stack
    killed_at = time.monotonic()
    before = victim.kill(stack)
    until(f"{victim.name} is back", lambda: victim.is_back(stack, before), PATIENCE_S)
    pipeline.decide_an_event(PATIENCE_S)
    until("every job and connector runs", stack.is_whole, PATIENCE_S)
    return time.monotonic() - killed_at


CONNECT = program("connect")
JOBMANAGER = program("jobmanager")
TASKMANAGER = Victim("taskmanager", _busy_taskmanagers)
WORKER = Victim("python-worker", _python_workers)
WORKERS = Victim("python-workers", _python_workers, all_at_once=True)
VICTIMS = (
    program("postgres"),
    program("kafka"),
    CONNECT,
    program("zookeeper"),
    JOBMANAGER,
    TASKMANAGER,
    WORKER,
    program("object-store"),
)
