"""AWS's library by which Java's Kafka clients log in to MSK, for the client inside Flink's connector.

The connector's jar has Kafka's client under a name of its own, and to that one a callback handler for the
client of the usual name is none (aws/aws-msk-iam-auth, issues 129 and 190). So the library's classes are made
to name the connector's; Maven's shade plugin calls that a relocation. In a class file every name is an entry
of the constant pool (JVM specification, 4.4), and nothing else depends on an entry's length.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

KAFKA, IN_THE_CONNECTOR = "org.apache.kafka.", "org.apache.flink.kafka.shaded.org.apache.kafka."
LIBRARY = "software/amazon/msk/"
"""Its own classes; all else in the jar knows no Kafka."""

_MAGIC, _POOL_AT = b"\xca\xfe\xba\xbe", 8
_UTF8 = 1
_TWO_ENTRIES = (5, 6)
"""``CONSTANT_Long`` and ``CONSTANT_Double`` take two indices (4.4.5)."""
_SIZES = {
    **dict.fromkeys((7, 8, 16, 19, 20), 2),
    15: 3,
    **dict.fromkeys((3, 4, 9, 10, 11, 12, 17, 18), 4),
    **dict.fromkeys(_TWO_ENTRIES, 8),
}
"""Bytes of a constant after its tag, by tag (table 4.4-A)."""


class UnknownLibrary(Exception):
    """The jar is not the library that was expected."""


def relocate(jar: Path) -> Path:
    """Put the library that names the connector's client in the place of `jar`, with ``-headrace`` behind its
    name; returns its path.

    Raises:
        UnknownLibrary: no class of it names Kafka's client; nothing was changed.
    """
    relocated = jar.with_name(f"{jar.stem}-headrace.jar")
    with zipfile.ZipFile(jar) as original:
        known = {entry: original.read(entry) for entry in original.infolist()}
    changed = {
        entry: renamed(content)
        for entry, content in known.items()
        if entry.filename.startswith(LIBRARY) and entry.filename.endswith(".class")
    }
    if all(known[entry] == content for entry, content in changed.items()):
        raise UnknownLibrary(f"{jar.name} has no class below {LIBRARY} that names {KAFKA}*")
    with zipfile.ZipFile(relocated, "w", zipfile.ZIP_DEFLATED) as copy:
        for entry, content in known.items():
            copy.writestr(entry, changed.get(entry, content))
    jar.unlink()
    return relocated


def renamed(compiled: bytes) -> bytes:
    """A class file in which every name of Kafka's packages is the connector's.

    Raises:
        UnknownLibrary: it is no class file, or has a constant of an unknown kind.
    """
    if not compiled.startswith(_MAGIC):
        raise UnknownLibrary("not a class file")
    pool = list(_constants(compiled))
    rest = compiled[_POOL_AT + 2 + sum(map(len, pool)) :]
    return compiled[: _POOL_AT + 2] + b"".join(map(_named, pool)) + rest


def _constants(compiled: bytes) -> Iterator[bytes]:
    (count,) = struct.unpack_from(">H", compiled, _POOL_AT)
    at, index = _POOL_AT + 2, 1
    while index < count:
        tag = compiled[at]
        if tag == _UTF8:
            size = 2 + struct.unpack_from(">H", compiled, at + 1)[0]
        elif tag in _SIZES:
            size = _SIZES[tag]
        else:
            raise UnknownLibrary(f"a constant of kind {tag}")
        yield compiled[at : at + 1 + size]
        at += 1 + size
        index += 2 if tag in _TWO_ENTRIES else 1


def _named(constant: bytes) -> bytes:
    if constant[0] != _UTF8:
        return constant
    text = constant[3:]
    for form in (str, _internal):
        text = text.replace(form(KAFKA).encode(), form(IN_THE_CONNECTOR).encode())
    return struct.pack(">BH", _UTF8, len(text)) + text


def _internal(name: str) -> str:
    """As class files write it (4.2.1)."""
    return name.replace(".", "/")
