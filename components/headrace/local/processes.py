"""Whose process is this? Every process of a stack carries a marker in its environment.

Pids alone can't tell: after a crash of the supervisor its children live on under another parent, and
a pid file outlives a reboot. The environment is inherited by children and goes with the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

STACK_MARKER = "HEADRACE_STACK"
"""Set for everything that the supervisor runs, and for the supervisor."""

SESSION_MARKER = "HEADRACE_SESSION"
"""Set for everything that a command (``headrace up``) runs: the engine, its plugins, Flink's client."""


def marked(marker: str, folder: Path) -> list[psutil.Process]:
    """Processes that carry `marker` for the stack in `folder`, but not the calling one and its parents."""
    value = str(folder.resolve())
    me = psutil.Process()
    own = {me.pid, *(parent.pid for parent in me.parents())}
    return [p for p in psutil.process_iter() if p.pid not in own and _environ(p).get(marker) == value]


def _environ(process: psutil.Process) -> Mapping[str, str]:
    try:
        return process.environ()
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return {}


def end(processes: Iterable[psutil.Process], patience_s: float = 5) -> None:
    """Terminate, wait, then kill what is left. Processes that are gone already are fine."""
    alive = list(processes)
    for process in alive:
        _signal(process, kill=False)
    _, alive = psutil.wait_procs(alive, timeout=patience_s)
    for process in alive:
        _signal(process, kill=True)
    psutil.wait_procs(alive, timeout=patience_s)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return


def listeners() -> dict[int, psutil.Process | None]:
    """TCP ports that are listened on, and by whom where that can be known (another user's is not)."""
    found: dict[int, psutil.Process | None] = {}
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr:
            found[connection.laddr.port] = _process(connection.pid)
    return found


def _process(pid: int | None) -> psutil.Process | None:
    try:
        return psutil.Process(pid) if pid else None
    except psutil.NoSuchProcess:
        return None


def belongs_to(process: psutil.Process, folder: Path) -> bool:
    return _environ(process).get(STACK_MARKER) == str(folder.resolve())
