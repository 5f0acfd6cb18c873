"""One method of a pinned jar's class replaced: its instructions are known to the byte, as the jar is.

Only for methods without branches, which need no frames (JVM specification, 4.7.3 and 4.10.1). Their tables
for debuggers stay as they are and end at the old length, where an instruction has to begin: a ``nop`` sees
to that.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path


class UnknownClass(Exception):
    """The jar's class is not the one that is known."""


def code(stack: int, variables: int, *instructions: str) -> bytes:
    """``max_stack``, ``max_locals``, ``code_length``, ``code`` of a Code attribute, from hex."""
    given = bytes.fromhex(" ".join(instructions))
    return struct.pack(">HHI", stack, variables, len(given)) + given


def replaced(class_file: bytes, before: bytes, after: bytes, what: str) -> bytes:
    """The class with one method's :func:`code` in another's place.

    Raises:
        UnknownClass: it has no such method, or several; `what` names it.
    """
    if class_file.count(before) != 1:
        raise UnknownClass(f"{what} is another than the one that is known")
    at = class_file.index(before)
    # The attribute's own length stands right before it.
    (length,) = struct.unpack_from(">I", class_file, at - 4)
    head = class_file[: at - 4] + struct.pack(">I", length + len(after) - len(before))
    return head + after + class_file[at + len(before) :]


def mended(jar: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """Put the jar with one class changed in the place of `jar`, with ``-headrace`` behind its name.

    Raises:
        UnknownClass: it has no such class; as what `change` raises, nothing was changed then.
    """
    made = jar.with_name(f"{jar.stem}-headrace.jar")
    with zipfile.ZipFile(jar) as original:
        if name not in original.namelist():
            raise UnknownClass(f"{jar.name} has no {name}")
        changed = change(original.read(name))
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as copy:
            for entry in original.infolist():
                copy.writestr(entry, changed if entry.filename == name else original.read(entry))
    jar.unlink()
    return made
