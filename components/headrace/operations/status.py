"""`headrace status`: what runs, as it is now."""

from __future__ import annotations

import time
from typing import Any

import httpx
import psutil
from rich.table import Table

from headrace.environment.units import MIB
from headrace.local.connect_status import Status, states
from headrace.local.context import HOST
from headrace.local.flink_metrics import Pages, samples
from headrace.local.flink_rest import FlinkRest, Unreachable
from headrace.local.names import taskmanager
from headrace.local.scaling.standing import Standing, read
from headrace.local.supervision import Supervisor
from headrace.operations.stack import Stack

TIMEOUT_S = 5
STANDBY = "STANDBY"
"""Of a process that scaling starts when it is needed."""
UNREACHABLE: dict[str, Any] = {"state": "unreachable", "tasks": []}


def status(stack: Stack) -> dict[str, Any]:
    """Processes (state, pid, uptime in s, memory with children in MiB), connectors, agents (with how many of
    their tables are held), and of each agent what scaling decided last, and why."""
    return {
        "stack": stack.name,
        "folder": str(stack.files.root),
        "processes": processes(stack),
        "connectors": connectors(stack),
        "agents": _agents(stack),
        "scaling": [_scaling(standing) for standing in read(stack.files.scaling).agents],
    }


def status_view(found: dict[str, Any]) -> list[Table]:
    tables = [_table(title, found[title]) for title in ("processes", "connectors", "agents")]
    return [*tables, *(_scaling_table(each) for each in found["scaling"])]


def processes(stack: Stack) -> list[dict[str, Any]]:
    """Name, state, pid, uptime in s and memory with children in MiB of each program of the supervisor's."""
    least = stack.plan.flink.taskmanager.count
    standby = {taskmanager(number) for number in range(least + 1, stack.plan.taskmanagers_max + 1)}
    return [
        {
            "name": info["name"],
            "state": STANDBY if _is_stopped(info) and info["name"] in standby else info["statename"],
            "pid": info["pid"] or None,
            "uptime_s": max(0, info["now"] - info["start"]) if info["pid"] else None,
            "memory_mib": _memory_mib(info["pid"]) if info["pid"] else None,
        }
        for info in Supervisor(stack.files).all()
    ]


def _is_stopped(info: dict[str, Any]) -> bool:
    return bool(info["statename"] == "STOPPED")


def _memory_mib(pid: int) -> int | None:
    """Proportional set size of the process and its children."""
    try:
        process = psutil.Process(pid)
        return round(
            sum(p.memory_full_info().pss for p in (process, *process.children(recursive=True))) / MIB
        )
    except psutil.Error:
        return None


def connectors(stack: Stack) -> list[dict[str, Any]]:
    """Name, state and tasks' states of each connector; ``unreachable`` where Connect does not answer, or
    still starts."""
    found = told_by_connect(stack)
    if found is None:
        return [{"name": source.connector, **UNREACHABLE} for source in stack.plan.sources]
    return [{"name": name, **in_words(status)} for name, status in found.items()]


def in_words(status: Status) -> dict[str, Any]:
    """State and tasks' states."""
    state, *tasks = states(status)
    return {"state": state, "tasks": tasks}


def told_by_connect(stack: Stack) -> dict[str, Status] | None:
    """The status of each connector, as Kafka Connect has it; None where it does not answer."""
    url = f"http://{HOST}:{stack.plan.ports.connect}/connectors"
    try:
        answer = httpx.get(url, params={"expand": "status"}, timeout=TIMEOUT_S, trust_env=False)
        return {name: body["status"] for name, body in answer.raise_for_status().json().items()}
    except httpx.HTTPError:
        return None


def _agents(stack: Stack) -> list[dict[str, Any]]:
    rest = FlinkRest(f"http://{HOST}:{stack.plan.ports.flink_rest}")
    pages = Pages(stack.plan.ports.taskmanager_metrics).read()
    return [
        {**_agent(rest, agent.name), "tables_held": _tables_held(pages, agent.name)}
        for agent in stack.plan.agents
    ]


def _tables_held(pages: list[str], agent: str) -> int | None:
    """Of the subtask that holds most; None where none says so."""
    held = [
        int(sample.value)
        for page in pages
        for sample in samples(page, agent, ["tables_held"])
        if sample.operator == agent
    ]
    return max(held, default=None)


def _agent(rest: FlinkRest, name: str) -> dict[str, Any]:
    try:
        jobs = rest.jobs(name)
        if not jobs:
            return {"name": name, "state": "absent", "job": None, "last_checkpoint_age_s": None}
        completed = rest.last_checkpoint_ms(jobs[0].id)
    except Unreachable:
        return {"name": name, "state": "unreachable", "job": None, "last_checkpoint_age_s": None}
    age = round(time.time() - completed / 1000, 1) if completed else None
    return {"name": name, "state": jobs[0].state, "job": jobs[0].id, "last_checkpoint_age_s": age}


def _scaling(standing: Standing) -> dict[str, Any]:
    """``age_s`` is how old the decision is: more than some seconds, and the process that decides is away."""
    last = standing.last
    return {
        "name": standing.agent,
        "parallelism": standing.parallelism,
        "bounds": [standing.least, standing.most],
        "decision": standing.cause,
        "reason": standing.reason,
        "age_s": round(time.time() - standing.at.timestamp(), 1),
        "calls_in_flight": standing.calls_in_flight,
        "calls_at_once": [standing.concurrency_limit, standing.calls_most],
        "last_rescale": [last.before, last.after] if last else None,
        "gap_s": last.gap_s if last else None,
        "repeated_calls": last.repeated_calls if last else None,
    }


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=title.capitalize(), title_justify="left")
    for column in rows[0] if rows else ():
        table.add_column(column.replace("_", " "))
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    return table


def _scaling_table(found: dict[str, Any]) -> Table:
    """A row for each thing to know, as a reason is a sentence and no column."""
    table = Table(title=f"Scaling of {found['name']}", title_justify="left", show_header=False)
    for name, value in found.items():
        if name != "name":
            table.add_row(name.replace("_", " "), _cell(value))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    text = "-" if value is None else str(value)
    good, bad = {"RUNNING"}, {"FAILED", "FATAL", "STOPPED", "EXITED", "absent", "unreachable"}
    return f"[green]{text}[/]" if text in good else f"[red]{text}[/]" if text in bad else text
