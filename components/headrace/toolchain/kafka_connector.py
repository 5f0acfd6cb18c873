"""Flink's Kafka connector, with a leak closed.

An exactly-once writer finds the lingering transactions of earlier attempts by an admin client, which version
5.0.0 never closes: each restart of a job leaves a thread and two connections a sink's subtask in its
TaskManager. There is no later version. So the connector's own ``ExactlyOnceKafkaWriter.close()`` is made
to close the client as the last of what it closes; ``IOUtils.closeAll`` takes null where there is none.

The jar is known by its checksum, so that the method is known to the byte; it has no branches, so it needs no
frames (JVM specification, 4.7.3 and 4.10.1).
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

WRITER = "org/apache/flink/connector/kafka/sink/ExactlyOnceKafkaWriter.class"
ADMIN_CLIENT = 634
"""Of the class's constant pool: the field that keeps the client."""

_MARK_CLOSED = "2a b601b1"
_CURRENT_PRODUCER = "59 03 2a ba01bb0000 53"
_PRODUCER_POOL = "59 04 2a ba01c00000 53"
_BACKCHANNEL = "59 05 2a b400e9 53"
_SUPER = "59 06 2a ba01c50000 53"
_ADMIN_CLIENT = f"00 59 07 2a b4{ADMIN_CLIENT:04x} 53"
"""nop, dup, iconst_4, aload_0, getfield, aastore. The method's tables for debuggers, which stay as they are,
end at its old length: by the nop an instruction begins there, which the JVM asks for."""
_CLOSE_ALL = "b801cb b1"
_FOUR, _FIVE = "07 bd01b3", "08 bd01b3"
"""The length of the array of what is closed."""


class UnknownConnector(Exception):
    """The connector is not the version that is known to have the leak."""


def close_leak(jar: Path) -> Path:
    """Put the mended connector in the place of `jar`, with ``-headrace`` behind its name; returns its path.

    Raises:
        UnknownConnector: nothing was changed.
    """
    mended = jar.with_name(f"{jar.stem}-headrace.jar")
    with zipfile.ZipFile(jar) as original:
        if WRITER not in original.namelist():
            raise UnknownConnector(f"{jar.name} has no {WRITER}")
        writer = closing(original.read(WRITER))
        with zipfile.ZipFile(mended, "w", zipfile.ZIP_DEFLATED) as copy:
            for entry in original.infolist():
                copy.writestr(entry, writer if entry.filename == WRITER else original.read(entry))
    jar.unlink()
    return mended


def closing(writer: bytes) -> bytes:
    """The class with the client among what its ``close`` closes.

    Raises:
        UnknownConnector: its ``close`` is another.
    """
    before = _attribute(
        _MARK_CLOSED, _FOUR, _CURRENT_PRODUCER, _PRODUCER_POOL, _BACKCHANNEL, _SUPER, _CLOSE_ALL
    )
    after = _attribute(
        *(_MARK_CLOSED, _FIVE, _CURRENT_PRODUCER, _PRODUCER_POOL, _BACKCHANNEL, _SUPER),
        *(_ADMIN_CLIENT, _CLOSE_ALL),
    )
    if writer.count(before) != 1:
        raise UnknownConnector(f"close() of {WRITER} is not that of flink-sql-connector-kafka 5.0.0-2.2")
    at = writer.index(before)
    # The attribute's own length stands right before it.
    (length,) = struct.unpack_from(">I", writer, at - 4)
    head = writer[: at - 4] + struct.pack(">I", length + len(after) - len(before))
    return head + after + writer[at + len(before) :]


def _attribute(*instructions: str) -> bytes:
    """``max_stack``, ``max_locals``, ``code_length`` and ``code`` of a Code attribute."""
    code = bytes.fromhex(" ".join(instructions))
    return struct.pack(">HHI", 4, 1, len(code)) + code
