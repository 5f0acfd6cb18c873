"""The check of the slot's position against the one that the connector has stored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from headrace.capture.catalogue import Slot
from headrace.capture.finding import Flaw, Mend
from headrace.capture.look import Look, Offset
from headrace.capture.statements import slot_drop
from headrace.errors import HeadraceError

POSITIONS = ("lsn", "lsn_proc", "lsn_commit")
"""Of Debezium's offset: of the event, of what is wholly processed, of the last commit."""

ASKED_AGAIN, PAUSE_S = 2, 1.0
OF_AN_EVENT = ("lsn", "lsn_proc", "lsn_commit", "messageType", "lsn_events_processed", "txId", "xmin")
"""What an offset says of the event that it was stored with. Without them, but with a ``lsn``, Debezium
streams from there and does not look for that event (``PostgresStreamingChangeEventSource.execute``)."""


def slot_meets_offset(look: Look) -> Iterator[Flaw]:
    """The slot is not ahead of the position that the connector has stored, and is there where one is"""
    # Before the offset: a connector stores first and confirms then, so a slot that is seen first is behind.
    slot = look.slot
    if look.offset is None:
        if slot:
            yield Flaw(
                "info",
                "what the connector has stored is not known here",
                "whether its slot is ahead of that is not known",
            )
        return
    try:
        offset = _settled(look.offset, slot)
    except HeadraceError as error:
        yield Flaw(
            "warning",
            f"what the connector has stored could not be asked: {error}",
            "whether its slot is ahead of that is not known",
        )
        return
    yield from _compared(look, slot, offset)


def _settled(ask: Callable[[], Offset | None], slot: Slot | None) -> Offset | None:
    """What is stored; asked for again where the slot is ahead of it, as another connector's open transaction
    hides for a moment what was committed after that began."""
    for _ in range(ASKED_AGAIN):
        offset = ask()
        if offset is None or slot is None or slot.confirmed is None or slot.confirmed <= reached(offset):
            return offset
        time.sleep(PAUSE_S)
    return ask()


def _compared(look: Look, slot: Slot | None, offset: Offset | None) -> Iterator[Flaw]:
    name = look.source.slot
    if slot is None:
        if offset is not None:
            yield Flaw(
                "error",
                f"slot {name} is lost: it is not there, and the connector has stored {text(reached(offset))}",
                "changes since then are kept by nobody, and the connector does not start",
                Mend(advice=_resnapshot(look)),
            )
    elif offset is None or not snapshot_is_done(offset):
        if not look.is_captured:
            yield Flaw(
                "warning",
                f"slot {name} is there, and the connector has not stored the end of a first snapshot",
                "a snapshot beside a slot that is there is not taken where the slot begins: a change made"
                " meanwhile can come twice",
                Mend(
                    (slot_drop(name),),
                    advice="unless the connector reads its first snapshot now: with the slot that it makes"
                    " itself, snapshot and changes meet in one place",
                ),
            )
    elif slot.confirmed is not None and slot.confirmed > reached(offset):
        yield Flaw(
            "error",
            f"slot {name} is ahead, at {text(slot.confirmed)}: the connector has stored"
            f" {text(reached(offset))}",
            f"the server sends nothing from before the slot's position, and says nothing: what was committed"
            f" in these {slot.confirmed - reached(offset)} bytes of WAL would be in no topic",
            Mend(
                advice=f"{_resnapshot(look)}. Or accept it: `headrace capture accept {look.source.name}` goes"
                " on at the slot's position, without what was committed before it"
            ),
        )


def reached(offset: Offset) -> int:
    """The furthest place of the log that an offset names. What is committed before it is in Kafka, as changes
    come in the order of their commits."""
    return max(int(offset.get(name) or 0) for name in POSITIONS)


def snapshot_is_done(offset: Offset) -> bool:
    """Whether the connector reads changes. While it reads its first snapshot its offset says ``snapshot``."""
    done = offset.get("snapshot_completed") or offset.get("last_snapshot_record")
    return "snapshot" not in offset or bool(done)


def text(lsn: int) -> str:
    """As PostgreSQL writes it: ``0/1A2B3C``."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def _resnapshot(look: Look) -> str:
    return f"`headrace capture resnapshot {look.source.name}` reads its tables anew"
