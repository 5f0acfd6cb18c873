"""The compared programs: how they are started and ended, and what they are told."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import headrace_agents
from headrace.plan.agents import TICK_MAX_MS, TICK_MIN_MS
from headrace_agents.code import RUNTIME_PACKAGE
from headrace_agents.spec import AgentJobSpec, InputTopic, JournalSpec, OutputTopics
from tests.bench import machine
from tests.bench.agents.cluster import Cluster
from tests.bench.agents.scenarios import (
    ASYNC_FUNCTION,
    CONSUMER,
    RUNTIME,
    WRITTEN_AHEAD,
    Checkpoints,
    Scenario,
    State,
)

PACKAGE = "tests.bench.agents.programs"
RUNTIME_PROGRAM = Path(headrace_agents.__path__[0]) / "flink" / "job.py"
FLINK_PROGRAMS = {
    RUNTIME: RUNTIME_PROGRAM,
    WRITTEN_AHEAD: RUNTIME_PROGRAM,
    ASYNC_FUNCTION: Path(__file__).with_name("programs") / "async_function.py",
}
OTHER = "runtime@"
"""Before the folder of another checkout's `agent_jobs`: its runtime, on the same cluster."""
TITLES = {
    RUNTIME: "this runtime",
    WRITTEN_AHEAD: "this runtime, model calls written ahead",
    ASYNC_FUNCTION: "PyFlink's `AsyncFunction`",
    CONSUMER: "an asyncio consumer, no state",
}
END_TIMEOUT_S = 20


def title(name: str) -> str:
    return TITLES.get(name, name)


@contextmanager
def running(name: str, cluster: Cluster, spec: AgentJobSpec) -> Iterator[str | None]:
    """Runs the program while the block does; gives the id of its Flink job, if it is one."""
    if name != CONSUMER:
        job = cluster.submit(_flink_program(name), spec, _python_path(name))
        try:
            yield job
        finally:
            cluster.cancel(job)
        return
    process = cluster.start_process(f"{PACKAGE}.consumer", spec)
    try:
        yield None
    finally:
        process.terminate()
        process.wait(END_TIMEOUT_S)


def _flink_program(name: str) -> Path:
    if name.startswith(OTHER):
        return Path(name.removeprefix(OTHER)) / RUNTIME_PACKAGE / "flink" / "job.py"
    return FLINK_PROGRAMS[name]


def _python_path(name: str) -> str:
    """What comes before the agents' environment: this benchmark's programs, and another runtime."""
    others = [name.removeprefix(OTHER)] if name.startswith(OTHER) else []
    return os.pathsep.join([*others, str(machine.PROJECT)])


def specification(
    cluster: Cluster, scenario: Scenario, program: str, name: str, flink: Mapping[str, str], topic: str
) -> AgentJobSpec:
    """The plan's, for this scenario; ``flink`` are options to try."""
    planned = cluster.spec
    model = planned.model
    options = dict(planned.flink_configuration) | {"python.pythonpath": _python_path(program)}
    if isinstance(scenario, Checkpoints):
        options["execution.checkpointing.interval"] = f"{scenario.interval_ms} ms"
        options["execution.checkpointing.min-pause"] = "0 ms"
        options["execution.checkpointing.timeout"] = "10 min"
    limits = {"run_deadline_ms": scenario.deadline_ms}
    if scenario.soft_events is not None:
        limits["inbox_soft_events"] = scenario.soft_events
    if model is not None:
        model = model.model_copy(
            update={
                "concurrency": None,
                "max_concurrency": scenario.in_flight,
                "timeout_ms": scenario.deadline_ms,
            }
        )
    return planned.model_copy(
        update={
            "name": name,
            "entry_point": f"{PACKAGE}.agent:{_agent(scenario)}",
            "inputs": (InputTopic(topic=topic, table="public.tickets"),),
            "outputs": OutputTopics(
                decisions=f"{name}.decisions",
                outcomes=f"{name}.outcomes",
                dead_letters=f"{name}.dead-letters",
                reviews=f"{name}.reviews",
                reports=f"{name}.reports",
                runs=f"{name}.runs",
            ),
            "model": model if scenario.model else None,
            "journal": _journal(planned.journal, program, name),
            "runtime": planned.runtime.model_copy(update={"tick_ms": _tick_ms(scenario)}),
            "limits": planned.limits.model_copy(update=limits),
            "flink_configuration": options | dict(flink),
        }
    )


def _agent(scenario: Scenario) -> str:
    if isinstance(scenario, State):
        return "Remembering"
    return "Asking" if scenario.model else "Instant"


def _journal(planned: JournalSpec, program: str, name: str) -> JournalSpec:
    """A topic of its own, so that no run of the benchmark reads another's tail."""
    write_ahead = "all" if program == WRITTEN_AHEAD else planned.write_ahead
    return planned.model_copy(update={"topic": f"{name}.journal", "write_ahead": write_ahead})


def _tick_ms(scenario: Scenario) -> int:
    """As the plan works it out."""
    model = scenario.model
    if model is None:
        return TICK_MIN_MS
    return TICK_MAX_MS if model.hangs else max(TICK_MIN_MS, min(TICK_MAX_MS, model.latency_ms // 10))
