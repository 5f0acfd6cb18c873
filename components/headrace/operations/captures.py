"""How sources are captured, and how a source is captured anew whose slot is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import psycopg

from headrace.capture.standing import SlotStanding, slot_standing
from headrace.errors import HeadraceError
from headrace.local.connect_status import Status, parts, runs
from headrace.local.context import HOST
from headrace.local.waiting import wait_until
from headrace.operations.demo import connect
from headrace.operations.stack import Stack
from headrace.operations.status import UNREACHABLE, in_words, told_by_connect
from headrace.plan.model import SourcePlan

TIMEOUT_S = 30
STOPPED_TIMEOUT_S, RUNNING_TIMEOUT_S = 60, 120
ABSENT: dict[str, Any] = {"state": "absent", "tasks": []}
Say = Callable[[str], None]


def captures(stack: Stack) -> list[dict[str, Any]]:
    """Of each source: its connector and tasks, why one failed, and its slot; bytes of WAL."""
    told = told_by_connect(stack)
    found = []
    for source in stack.plan.sources:
        status = (told or {}).get(source.connector)
        found.append(
            {
                "source": source.name,
                "connector": source.connector,
                **(UNREACHABLE if told is None else ABSENT if status is None else in_words(status)),
                "failures": failures(status),
                "slot": source.slot,
                **_told(slot_of(stack, source)),
            }
        )
    return found


def failures(status: Status | None) -> list[str]:
    """Why connector and tasks failed: of each the last cause in its trace, which says what went wrong."""
    return [_cause(part["trace"]) for part in (parts(status) if status else ()) if part.get("trace")]


def _cause(trace: str) -> str:
    *_, last = [line for line in trace.splitlines() if line.startswith("Caused by: ")] or [trace]
    return last.removeprefix("Caused by: ").partition("\n")[0]


def slot_of(stack: Stack, source: SourcePlan) -> SlotStanding | None:
    """None where there is none. Raises HeadraceError where the database does not answer."""
    try:
        with connect(stack, source.database) as database:
            return slot_standing(database, source.slot)
    except psycopg.OperationalError as error:
        raise HeadraceError(f"database {source.database} does not answer: {error}") from error


def _told(slot: SlotStanding | None) -> dict[str, Any]:
    if slot is None:
        return dict.fromkeys(("lag_bytes", "wal_kept_bytes", "wal_cap_bytes")) | {"slot_state": "absent"}
    state = "lost" if slot.lost else "active" if slot.active else "inactive"
    return {
        "slot_state": state,
        "lag_bytes": slot.lag_bytes,
        "wal_kept_bytes": slot.kept_bytes,
        "wal_cap_bytes": slot.cap_bytes,
    }


def resnapshot(stack: Stack, source: SourcePlan, say: Say) -> None:
    """Forget where the connector was, and have it read the tables anew: then changes go on from there.

    Each step may be done already, so that an interrupted one can be run again.

    Raises:
        HeadraceError: a part does not answer, or refuses.
    """
    endpoint = f"http://{HOST}:{stack.plan.ports.connect}/connectors/{source.connector}"
    with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client:
        _ask(client, "PUT", f"{endpoint}/stop")
        wait_until(f"{source.connector} stopped", lambda: _is_stopped(client, endpoint), STOPPED_TIMEOUT_S)
        say(f"connector {source.connector} is stopped")
        _ask(client, "DELETE", f"{endpoint}/offsets")
        say("its offsets are forgotten")
        _drop_slot(stack, source)
        say(f"slot {source.slot} is dropped")
        _ask(client, "PUT", f"{endpoint}/resume")
        wait_until(f"{source.connector} running", lambda: _runs(stack, source), RUNNING_TIMEOUT_S)
    say(f"connector {source.connector} reads {len(source.tables)} tables anew")


def _drop_slot(stack: Stack, source: SourcePlan) -> None:
    """Its reader is stopped; the server may notice a moment later."""

    def dropped() -> bool:
        with connect(stack, source.database) as database:
            slot = slot_standing(database, source.slot)
            if slot is None:
                return True
            if not slot.active:
                database.execute("SELECT pg_drop_replication_slot(%s)", [source.slot])
            return not slot.active

    wait_until(f"slot {source.slot} free", dropped, STOPPED_TIMEOUT_S)


def _is_stopped(client: httpx.Client, endpoint: str) -> bool:
    status = _ask(client, "GET", f"{endpoint}/status").json()
    return status["connector"]["state"] == "STOPPED" and not status["tasks"]


def _runs(stack: Stack, source: SourcePlan) -> bool:
    status = (told_by_connect(stack) or {}).get(source.connector)
    return status is not None and runs(status)


def _ask(client: httpx.Client, method: str, url: str) -> httpx.Response:
    try:
        answer = client.request(method, url)
    except httpx.TransportError as error:
        raise HeadraceError(f"Kafka Connect does not answer at {url}: {error}") from error
    if not answer.is_success:
        raise HeadraceError(f"Kafka Connect refused {method} {url}: {answer.status_code} {answer.text}")
    return answer
