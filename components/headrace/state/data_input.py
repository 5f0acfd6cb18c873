"""What Java's ``DataOutputStream`` wrote, read as ``java.io.DataInputStream`` reads it."""

from __future__ import annotations

import struct

from headrace.errors import HeadraceError


class Unreadable(HeadraceError):
    """Bytes are not what the format says; nothing that was read of them can be relied on."""


class DataInput:
    """Numbers are big-endian. Each read raises :class:`Unreadable` where the bytes end too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def rest(self) -> int:
        """Bytes that are left."""
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if not 0 <= count <= self.rest:
            raise Unreadable(f"{count} bytes are said to follow byte {self._at}, and {self.rest} do")
        start, self._at = self._at, self._at + count
        return self._data[start : self._at]

    def u8(self) -> int:
        return self.take(1)[0]

    def i32(self) -> int:
        return int(struct.unpack(">i", self.take(4))[0])

    def i64(self) -> int:
        return int(struct.unpack(">q", self.take(8))[0])

    def u16(self) -> int:
        return int(struct.unpack(">H", self.take(2))[0])

    def count(self) -> int:
        """An int that counts what follows, at least a byte for each."""
        count = self.i32()
        if not 0 <= count <= self.rest:
            raise Unreadable(f"a count of {count} stands before {self.rest} bytes")
        return count

    def flag(self) -> bool:
        """A byte that is 0 or 1."""
        value = self.u8()
        if value > 1:
            raise Unreadable(f"a byte that has to be 0 or 1 is {value}")
        return value == 1

    def text(self) -> str:
        """``readUTF``: a u16 length and modified UTF-8 (no zero byte, surrogates encoded one by one)."""
        encoded = self.take(self.u16()).replace(b"\xc0\x80", b"\0")
        try:
            units = encoded.decode("utf-8", "surrogatepass")
            return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError as error:
            raise Unreadable(f"text before byte {self._at} is no modified UTF-8: {error}") from None
