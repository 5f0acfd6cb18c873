"""Flink's Kafka connector, with a leak closed.

An exactly-once writer finds the lingering transactions of earlier attempts by an admin client, which version
5.0.0 never closes: each restart of a job leaves a thread and two connections a sink's subtask in its
TaskManager. There is no later version. So the connector's own ``ExactlyOnceKafkaWriter.close()`` is made
to close the client as the last of what it closes; ``IOUtils.closeAll`` takes null where there is none.
"""

from __future__ import annotations

from pathlib import Path

from . import class_files

WRITER = "org/apache/flink/connector/kafka/sink/ExactlyOnceKafkaWriter.class"
ADMIN_CLIENT = 634
"""Of the class's constant pool: the field that keeps the client."""

_MARK_CLOSED = "2a b601b1"
_CURRENT_PRODUCER = "59 03 2a ba01bb0000 53"
_PRODUCER_POOL = "59 04 2a ba01c00000 53"
_BACKCHANNEL = "59 05 2a b400e9 53"
_SUPER = "59 06 2a ba01c50000 53"
_ADMIN_CLIENT = f"00 59 07 2a b4{ADMIN_CLIENT:04x} 53"
"""nop, dup, iconst_4, aload_0, getfield, aastore."""
_CLOSE_ALL = "b801cb b1"
_FOUR, _FIVE = "07 bd01b3", "08 bd01b3"
"""The length of the array of what is closed."""


def close_leak(jar: Path) -> Path:
    """Put the mended connector in the place of `jar`; returns its path.

    Raises:
        UnknownClass: it is not the version that is known to have the leak; nothing was changed.
    """
    return class_files.mended(jar, WRITER, closing)


def closing(writer: bytes) -> bytes:
    """The class with the client among what its ``close`` closes.

    Raises:
        UnknownClass: its ``close`` is another.
    """
    around = (_CURRENT_PRODUCER, _PRODUCER_POOL, _BACKCHANNEL, _SUPER)
    before = class_files.code(4, 1, _MARK_CLOSED, _FOUR, *around, _CLOSE_ALL)
    after = class_files.code(4, 1, _MARK_CLOSED, _FIVE, *around, _ADMIN_CLIENT, _CLOSE_ALL)
    return class_files.replaced(writer, before, after, f"close() of {WRITER}")
