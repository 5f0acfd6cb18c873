"""Whether a stack is whole: everything that its plan has runs."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.local.connect_status import RUNNING
from headrace.local.flink_rest import FlinkRest, JobGone, Unreachable
from headrace.local.names import TASKMANAGERS
from headrace.local.supervision import Supervisor
from headrace.operations.agents import flink
from headrace.operations.stack import Stack
from headrace.operations.status import STANDBY, connectors, processes


def missing(stack: Stack) -> list[str]:
    """What does not run as it should, each in words; empty for a whole stack."""
    return [*_processes(stack), *missing_connectors(stack), *_flink(stack)]


def _processes(stack: Stack) -> Iterator[str]:
    found = processes(stack)
    if not found:
        yield "the supervisor does not run"
    for each in found:
        if each["state"] not in (RUNNING, STANDBY):
            yield f"process {each['name']} is {each['state']}"


def missing_connectors(stack: Stack) -> Iterator[str]:
    """The connectors of the plan that do not run, each in words."""
    found = {each["name"]: [each["state"], *each["tasks"]] for each in connectors(stack)}
    for source in stack.plan.sources:
        states = found.get(source.connector, ["absent"])
        if len(states) == 1 or set(states) != {RUNNING}:
            tasks = ", ".join(states[1:]) or "none"
            yield f"connector {source.connector} is {states[0]}, its tasks: {tasks}"


def _flink(stack: Stack) -> Iterator[str]:
    rest, programs = flink(stack), Supervisor(stack.files).pids()
    try:
        registered = {each.id for each in rest.taskmanagers()}
        for name in sorted(programs):
            if name.startswith(TASKMANAGERS) and name not in registered:
                yield f"{name} is not registered with the JobManager"
        for agent in stack.plan.agents:
            yield from _agent(rest, agent.name)
    except (Unreachable, JobGone) as error:
        yield str(error)


def _agent(rest: FlinkRest, name: str) -> Iterator[str]:
    jobs = rest.jobs(name)
    if len(jobs) != 1:
        yield f"agent {name} has {len(jobs)} jobs"
    elif not rest.all_running(jobs[0].id):
        yield f"not every task of agent {name} runs: its job is {jobs[0].state}"
