"""The vocabulary of embeddings: texts in, a vector for each of them or a :class:`ModelError` out."""

from __future__ import annotations

import json
import struct
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from headrace_agents.chat import Caller, CallReport, Usage

Purpose = Literal["document", "query"]
"""What a vector is for: to be found, or to find with. Some models make a difference."""

NOTHING_USED = Usage()
_HEAD = struct.Struct(">III")
"""How many vectors there are, how many numbers each has, tokens of the texts."""


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """One call to an embedding model."""

    texts: tuple[str, ...]
    idempotency_key: str
    purpose: Purpose = "document"
    caller: Caller | None = None
    """No part of what is asked; nor is the report."""
    report: CallReport | None = field(default=None, compare=False)

    def inputs(self) -> bytes:
        """The same bytes for the same question, in every process. The idempotency key is no part of it."""
        # ASCII: text may hold halves of surrogate pairs, which no UTF-8 can.
        return json.dumps([self.purpose, self.texts], separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Embeddings:
    """What a model gave for the texts of one request."""

    vectors: tuple[array[float], ...]
    """In the order of the texts, all of one length, each ``array("f")``."""
    usage: Usage = NOTHING_USED

    @staticmethod
    def of(vectors: Sequence[Sequence[float]], usage: Usage = NOTHING_USED) -> Embeddings:
        """Numbers are rounded to 32 bits.

        Raises ValueError where there are none or vectors differ in length, TypeError or OverflowError for
        what is no number that fits.
        """
        made = tuple(array("f", vector) for vector in vectors)
        if not made or not made[0] or any(len(vector) != len(made[0]) for vector in made):
            lengths = ", ".join(sorted({str(len(vector)) for vector in made})) or "none"
            raise ValueError(f"vectors must all have one length above 0, not: {lengths}")
        return Embeddings(made, usage)

    def encode(self) -> bytes:
        """12 bytes, and 4 for each number: big-endian, IEEE 754 single precision."""
        head = _HEAD.pack(len(self.vectors), len(self.vectors[0]), self.usage.input_tokens)
        numbers = array("f")
        for vector in self.vectors:
            numbers.extend(vector)
        return head + _big_endian(numbers).tobytes()

    @staticmethod
    def decode(data: bytes) -> Embeddings:
        """What :meth:`encode` made. Raises ValueError or struct.error for anything else."""
        count, length, tokens = _HEAD.unpack_from(data)
        numbers = array("f")
        numbers.frombytes(data[_HEAD.size :])
        if len(numbers) != count * length:
            raise ValueError(f"{len(numbers)} numbers are not {count} vectors of {length}")
        numbers = _big_endian(numbers)
        vectors = tuple(numbers[at : at + length] for at in range(0, len(numbers), length))
        return Embeddings(vectors, Usage(input_tokens=tokens))


class EmbeddingModel(Protocol):
    """Whatever makes vectors: the client of an endpoint, or a script in a test."""

    @property
    def most_texts(self) -> int:
        """That one request may have."""

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """As many vectors as there are texts. Raises ModelError when the call did not succeed; no other
        error."""

    async def close(self) -> None: ...


def _big_endian(numbers: array[float]) -> array[float]:
    """From the machine's order, or to it: the same on either way."""
    if sys.byteorder == "little":
        numbers = array("f", numbers)
        numbers.byteswap()
    return numbers
