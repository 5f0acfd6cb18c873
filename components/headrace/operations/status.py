"""`headrace status`: what runs, as it is now."""

from __future__ import annotations

import time
from typing import Any

import httpx
import psutil
from rich.table import Table

from headrace.local.context import HOST
from headrace.local.flink_rest import FlinkRest, Unreachable
from headrace.local.supervision import Supervisor
from headrace.operations.stack import Stack

TIMEOUT_S = 5
MIB = 1024 * 1024


def status(stack: Stack) -> dict[str, Any]:
    """Processes (state, pid, uptime in s, memory with children in MiB), connectors and agents."""
    return {
        "stack": stack.name,
        "folder": str(stack.files.root),
        "processes": _processes(Supervisor(stack.files)),
        "connectors": connectors(stack),
        "agents": _agents(stack),
    }


def status_view(found: dict[str, Any]) -> list[Table]:
    return [_table(title, found[title]) for title in ("processes", "connectors", "agents")]


def _processes(supervisor: Supervisor) -> list[dict[str, Any]]:
    return [
        {
            "name": info["name"],
            "state": info["statename"],
            "pid": info["pid"] or None,
            "uptime_s": max(0, info["now"] - info["start"]) if info["pid"] else None,
            "memory_mib": _memory_mib(info["pid"]) if info["pid"] else None,
        }
        for info in supervisor.all()
    ]


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
    """Name, state and tasks' states of each connector; ``unreachable`` where Connect does not answer."""
    url = f"http://{HOST}:{stack.plan.ports.connect}/connectors"
    try:
        found = httpx.get(url, params={"expand": "status"}, timeout=TIMEOUT_S, trust_env=False).json()
    except httpx.TransportError:
        return [
            {"name": source.connector, "state": "unreachable", "tasks": []} for source in stack.plan.sources
        ]
    return [
        {
            "name": name,
            "state": body["status"]["connector"]["state"],
            "tasks": [task["state"] for task in body["status"]["tasks"]],
        }
        for name, body in found.items()
    ]


def _agents(stack: Stack) -> list[dict[str, Any]]:
    rest = FlinkRest(f"http://{HOST}:{stack.plan.ports.flink_rest}")
    return [_agent(rest, agent.name) for agent in stack.plan.agents]


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


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=title.capitalize(), title_justify="left")
    for column in rows[0] if rows else ():
        table.add_column(column.replace("_", " "))
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    text = "-" if value is None else str(value)
    good, bad = {"RUNNING"}, {"FAILED", "FATAL", "STOPPED", "EXITED", "absent", "unreachable"}
    return f"[green]{text}[/]" if text in good else f"[red]{text}[/]" if text in bad else text
