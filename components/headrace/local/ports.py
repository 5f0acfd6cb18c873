"""Ports of a stack: free, or held by the stack itself; anything else is refused before something starts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from headrace.errors import HeadraceError
from headrace.local.processes import belongs_to, listeners

LEAVING_S = 5.0
POLL_S = 0.1


class PortTaken(HeadraceError):
    """Somebody else listens on a port that the stack needs."""


def refuse_taken_ports(ports: Mapping[str, int], root: Path) -> None:
    """Raise :class:`PortTaken` that names every taken port, its holder and the setting that changes it."""
    deadline = time.monotonic() + LEAVING_S
    while (taken := _taken(ports, root)) and time.monotonic() < deadline:
        if not all(_leaving(holder) for _, _, holder in taken):
            break
        time.sleep(POLL_S)
    if taken:
        raise PortTaken(
            "ports that this stack needs are taken:\n"
            + "\n".join(
                f"  {port} ({purpose}): held by {_describe(holder)}" for purpose, port, holder in taken
            )
            + "\nstop what holds them, or choose another range with `substrate.port_base` in the stack's"
            " declaration; nothing was started"
        )


def _taken(ports: Mapping[str, int], root: Path) -> list[tuple[str, int, psutil.Process | None]]:
    listening = listeners()
    return [
        (purpose, port, listening[port])
        for purpose, port in ports.items()
        if port in listening and not _ours(listening[port], root)
    ]


def _leaving(holder: psutil.Process | None) -> bool:
    """A process that was killed loses its memory, and with it command and environment, before its sockets."""
    try:
        return holder is not None and not holder.cmdline()
    except psutil.Error:
        return True


def _ours(holder: psutil.Process | None, root: Path) -> bool:
    return holder is not None and belongs_to(holder, root)


def _describe(holder: psutil.Process | None) -> str:
    if holder is None:
        return "a process that this user can't see"
    try:
        return f"{holder.name()} (pid {holder.pid}, {' '.join(holder.cmdline())[:80]})"
    except psutil.Error:
        return f"pid {holder.pid}"
