"""How sources are captured, and how one goes on whose slot is lost, or ahead of what was stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg

from headrace.capture import catalogue
from headrace.capture.look import Connection
from headrace.capture.orphans import orphans
from headrace.capture.positions import OF_AN_EVENT, reached, text
from headrace.capture.standing import SlotStanding, slot_standing
from headrace.errors import HeadraceError
from headrace.local.connect_status import Status, parts, runs
from headrace.local.connector_place import ConnectorPlace
from headrace.local.context import HOST
from headrace.local.source_access import complete_config
from headrace.operations.captured_sources import stored_offsets
from headrace.operations.demo import connect
from headrace.operations.stack import Stack
from headrace.operations.status import UNREACHABLE, in_words, told_by_connect
from headrace.plan.model import PostgresqlSourcePlan
from headrace.waiting import wait_until

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
                "orphans": orphans_beside(stack, source),
            }
        )
    return found


def failures(status: Status | None) -> list[str]:
    """Why connector and tasks failed: of each the last cause in its trace, which says what went wrong."""
    return [_cause(part["trace"]) for part in (parts(status) if status else ()) if part.get("trace")]


def _cause(trace: str) -> str:
    *_, last = [line for line in trace.splitlines() if line.startswith("Caused by: ")] or [trace]
    return last.removeprefix("Caused by: ").partition("\n")[0]


def slot_of(stack: Stack, source: PostgresqlSourcePlan) -> SlotStanding | None:
    """None where there is none. Raises HeadraceError where the database does not answer."""
    with _database(stack, source) as database:
        return slot_standing(database, source.slot)


def orphans_beside(stack: Stack, source: PostgresqlSourcePlan) -> list[str]:
    """Slots of its server and publications of its database that no declared source has, and their cost."""
    declared = frozenset(each.slot for each in stack.plan.sources)
    with _database(stack, source) as database:
        found = list(orphans(catalogue.rows_of(database), declared))
    return [f"{flaw.found}: {flaw.consequence}" for flaw in found]


@contextmanager
def _database(stack: Stack, source: PostgresqlSourcePlan) -> Iterator[Connection]:
    try:
        with connect(stack, source.database) as database:
            yield database
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


def resnapshot(stack: Stack, source: PostgresqlSourcePlan, say: Say) -> None:
    """Forget where the connector was, and have it read the tables anew: then changes go on from there.

    Each step may be done already, so that an interrupted one can be run again.

    Raises:
        HeadraceError: a part does not answer, or refuses.
    """
    with _stopped(stack, source, say) as place:
        place.forget()
        say("its offsets are forgotten")
        _drop_slot(stack, source)
        say(f"slot {source.slot} is dropped")
    say(f"connector {source.connector} reads {len(source.tables)} tables anew")


def accept(stack: Stack, source: PostgresqlSourcePlan, say: Say) -> None:
    """Have the connector go on at its slot's position, which is ahead of the one that it has stored.

    What was committed between the two is in no topic. An incremental snapshot under way goes on.

    Raises:
        HeadraceError: the slot is not ahead, so that there is nothing to accept; or a part does not answer,
            or refuses.
    """
    slot = confirmed(stack, source)
    offset = stored_offsets(stack).of(source.connector, source.name)
    if slot is None or offset is None or slot <= reached(offset):
        at = "not there" if slot is None else f"at {text(slot)}"
        has = "nothing" if offset is None else text(reached(offset))
        raise HeadraceError(
            f"slot {source.slot} is {at}, and connector {source.connector} has stored {has}: only a slot that"
            " is ahead can be accepted. Nothing was changed"
        )
    with _stopped(stack, source, say) as place:
        kept = {name: value for name, value in offset.items() if name not in OF_AN_EVENT}
        place.put(source.name, kept | {"lsn": slot})
        say(f"its position is {text(slot)}, as the slot's; it was {text(reached(offset))}")
    say(f"connector {source.connector} goes on")


@contextmanager
def _stopped(stack: Stack, source: PostgresqlSourcePlan, say: Say) -> Iterator[ConnectorPlace]:
    """The connector's place while it is stopped; then it runs again. Where something fails it stays stopped,
    so that what failed can be run again."""
    endpoint = f"http://{HOST}:{stack.plan.ports.connect}"
    with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client:
        place = ConnectorPlace(client, endpoint, source.connector)
        place.stop(complete_config(stack.files, source))
        say(f"connector {source.connector} is stopped")
        yield place
        place.resume()
        wait_until(f"{source.connector} running", lambda: _runs(stack, source), RUNNING_TIMEOUT_S)


def confirmed(stack: Stack, source: PostgresqlSourcePlan) -> int | None:
    """What the slot's reader has confirmed, as a number; None where there is no slot."""
    with _database(stack, source) as database:
        found = catalogue.slot(catalogue.rows_of(database), source.slot, database.info.server_version)
    return found.confirmed if found else None


def _drop_slot(stack: Stack, source: PostgresqlSourcePlan) -> None:
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


def _runs(stack: Stack, source: PostgresqlSourcePlan) -> bool:
    status = (told_by_connect(stack) or {}).get(source.connector)
    return status is not None and runs(status)
