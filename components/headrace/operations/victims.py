"""Who is killed on purpose: the processes of a running stack by their kind, and what comes in their place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psutil

from headrace.local.names import TASKMANAGERS
from headrace.local.processes import STACK_MARKER, marked
from headrace.local.supervision import Supervisor
from headrace.operations.agents import flink
from headrace.operations.stack import Stack

PYTHON_WORKER = "pyflink.fn_execution.beam.beam_boot"


@dataclass(frozen=True)
class Victim:
    """A kind of process: those of it that run now, the one to kill first."""

    name: str
    running: Callable[[Stack], list[psutil.Process]]
    all_at_once: bool = False
    missed_by_flink: bool = False
    """A JobManager that runs notices the loss and restarts jobs; otherwise the supervisor's word counts."""

    def kill(self, stack: Stack) -> frozenset[int]:
        """`kill -9` one, or all; returns the pids that ran before."""
        found = self.running(stack)
        for process in found if self.all_at_once else found[:1]:
            process.kill()
        return frozenset(process.pid for process in found)

    def is_back(self, stack: Stack, before: frozenset[int]) -> bool:
        """Whether one runs that did not run before."""
        return any(process.pid not in before for process in self.running(stack))


def program(name: str) -> Victim:
    """A process of the supervisor's."""
    return Victim(name, lambda stack: _alive([pid for n, pid in _programs(stack).items() if n == name]))


def _programs(stack: Stack) -> dict[str, int]:
    return Supervisor(stack.files).pids()


def _busy_taskmanagers(stack: Stack) -> list[psutil.Process]:
    """TaskManagers, those with the most tasks first."""
    busy = {each.id: each.slots_in_use for each in flink(stack).taskmanagers()}
    programs = {name: pid for name, pid in _programs(stack).items() if name.startswith(TASKMANAGERS)}
    return _alive([programs[name] for name in sorted(programs, key=lambda name: -busy.get(name, 0))])


def _python_workers(stack: Stack) -> list[psutil.Process]:
    return [
        process for process in marked(STACK_MARKER, stack.files.root) if PYTHON_WORKER in _command(process)
    ]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _alive(pids: list[int]) -> list[psutil.Process]:
    return [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]


CONNECT = program("connect")
JOBMANAGER = program("jobmanager")
TASKMANAGER = Victim("taskmanager", _busy_taskmanagers, missed_by_flink=True)
WORKER = Victim("python-worker", _python_workers, missed_by_flink=True)
WORKERS = Victim("python-workers", _python_workers, all_at_once=True, missed_by_flink=True)
BROKER = program("kafka")
STORAGE = program("object-store")
