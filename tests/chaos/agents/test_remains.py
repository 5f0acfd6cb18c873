"""A worker that dies leaves no thread, process or connection behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import psutil

from headrace.operations.victims import WORKERS
from tests.chaos.victims import kill_and_heal
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import in_make_chaos_alone
from tests.pipeline.waiting import until

DEATHS = 3
PATIENCE_S = 180
Census = dict[str, Counter[str]]


@in_make_chaos_alone("what a dead worker leaves behind")
def test_a_worker_that_dies_leaves_nothing_behind(pipeline: Pipeline) -> None:
    def nothing_more() -> bool:
        now = census(pipeline)
        return all(now[kind] - before[kind] <= allowed[kind] for kind in before)

    # The first death makes what stays for good, such as threads of pools; those come and go a little.
    die(pipeline)
    before = census(pipeline)
    # Fewer than one a death.
    few = Counter(dict.fromkeys(before["threads"] + before["connections"], DEATHS - 1))
    allowed = {"processes": Counter[str](), "threads": few, "connections": few}
    for _ in range(DEATHS):
        die(pipeline)
    until("no more than before", nothing_more, PATIENCE_S, lambda: (before, census(pipeline)))


def die(pipeline: Pipeline) -> None:
    with pipeline.load.running(transactions_per_second=5):
        kill_and_heal(pipeline, WORKERS)
    pipeline.settle()


def census(pipeline: Pipeline) -> Census:
    """Processes, threads and connections of Flink's TaskManagers and what they started, by program."""
    found: Census = {"processes": Counter(), "threads": Counter(), "connections": Counter()}
    ports = {port: purpose for purpose, port in pipeline.stack.ports().items()}
    for process in taskmanagers(pipeline):
        for each in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):  # it has just ended
                kind = "taskmanager" if each == process else each.name()
                found["processes"][kind] += 1
                if each == process:
                    # Those of a program that has ended have ended with it.
                    found["threads"][kind] += each.num_threads()
                found["connections"].update(f"{kind} to {purpose}" for purpose in peers(each, ports))
    return found


def peers(process: psutil.Process, ports: dict[int, str]) -> Iterator[str]:
    """What is at the other ends of its connections."""
    for connection in process.net_connections("tcp"):
        if connection.status == psutil.CONN_ESTABLISHED and connection.raddr:
            yield ports.get(connection.raddr.port, "another")


def taskmanagers(pipeline: Pipeline) -> list[psutil.Process]:
    programs = pipeline.stack.processes()
    return [psutil.Process(pid) for name, pid in programs.items() if name.startswith("taskmanager-")]
