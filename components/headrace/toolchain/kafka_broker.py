"""Kafka's broker, with the markers of its transactions kept.

A broker that is killed while it ends a transaction sends the transaction's markers when it is back. It knows
its own partitions' leader then, or not yet: to ``KRaftMetadataCache.getPartitionLeaderEndpoint`` of 4.3.1 a
partition without a leader is one that is not there, and markers to such a one are skipped as to a deleted
topic. The transaction counts as ended and stays open in its partitions: who reads committed records stands
still for ever. The class before it (Scala, 3.9) gave ``Node.noNode`` for a leader that is away, which waits;
so does the mended one: ``.or(noNode)`` behind what it gave.
"""

from __future__ import annotations

from pathlib import Path

from . import class_files

CACHE = "org/apache/kafka/metadata/KRaftMetadataCache.class"
_LEADERS_BROKER = "2a b60032 2c b400bb b60036 b80158 2b ba026a0000 b600cd"
_OR_NO_NODE = "00 b8026b b600d2 b80158"
"""nop, invokestatic Node.noNode, invokevirtual Optional.orElse, invokestatic Optional.ofNullable."""
_RETURN = "b0"


def keep_markers(jar: Path) -> Path:
    """Put the mended jar in the place of ``kafka-metadata``; returns its path.

    Raises:
        UnknownClass: it is not 4.3.1's; nothing was changed.
    """
    return class_files.mended(jar, CACHE, waiting)


def waiting(cache: bytes) -> bytes:
    """The class with no node for a partition's leader that is away.

    Raises:
        UnknownClass: its method is another.
    """
    before = class_files.code(2, 3, _LEADERS_BROKER, _RETURN)
    after = class_files.code(2, 3, _LEADERS_BROKER, _OR_NO_NODE, _RETURN)
    return class_files.replaced(cache, before, after, f"getPartitionLeaderEndpoint of {CACHE}")
