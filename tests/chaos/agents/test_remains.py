"""A worker that dies leaves no thread, process or connection behind."""

from __future__ import annotations

from collections import Counter

import psutil

from tests.chaos.victims import WORKER, kill_and_heal
from tests.pipeline.plugin import Pipeline
from tests.pipeline.waiting import until

DEATHS = 3
PATIENCE_S = 60
Census = dict[str, Counter[str]]


def test_a_worker_that_dies_leaves_nothing_behind(pipeline: Pipeline) -> None:
    def nothing_more() -> bool:
        now = census(pipeline)
        return all(now[kind] <= before[kind] for kind in before)

    # The first death makes what stays for good, such as threads of pools.
    die(pipeline)
    before = census(pipeline)
    for _ in range(DEATHS):
        die(pipeline)
    until("no more than before", nothing_more, PATIENCE_S, lambda: (before, census(pipeline)))


def die(pipeline: Pipeline) -> None:
    with pipeline.load.running(transactions_per_second=5):
        kill_and_heal(pipeline, WORKER)
    pipeline.settle()


def census(pipeline: Pipeline) -> Census:
    """Processes, threads and connections of Flink's TaskManagers and what they started, by kind."""
    found: Census = {"processes": Counter(), "threads": Counter(), "connections": Counter()}
    ports = {port: purpose for purpose, port in pipeline.stack.ports().items()}
    for process in taskmanagers(pipeline):
        for each in [process, *process.children(recursive=True)]:
            kind = "taskmanager" if each == process else " ".join(each.cmdline()[1:3])
            found["processes"][kind] += 1
            found["threads"][kind] += each.num_threads()
            for connection in each.net_connections("tcp"):
                if connection.status == psutil.CONN_ESTABLISHED and connection.raddr:
                    found["connections"][f"{kind} to {ports.get(connection.raddr.port, 'another')}"] += 1
    return found


def taskmanagers(pipeline: Pipeline) -> list[psutil.Process]:
    programs = pipeline.stack.processes()
    return [psutil.Process(pid) for name, pid in programs.items() if name.startswith("taskmanager-")]
