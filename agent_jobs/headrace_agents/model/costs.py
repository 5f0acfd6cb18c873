"""What was spent, as it is kept: sums by day, model and key, in a compacted topic.

A worker writes a sum anew after each call, under a record key of its own: the last record of each key is
what counts, so all of them add up to what was spent, whoever was killed when. Of more keys in a day than
``SUMS_HELD``, the sum that was not touched for longest is begun anew under another record key, which stays.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from headrace_agents.chat import Usage
from headrace_agents.figures import counter
from headrace_agents.model.amounts import PICODOLLARS_PER_MICRODOLLAR, Amount
from headrace_agents.records import Record

SUMS_HELD = 65_536
"""At about 350 bytes each: 23 MB at most."""

Write = Callable[[bytes, bytes], None]
"""A record's key and value, to the topic; it waits for nothing."""


class CostKey(Record):
    """The key of a record of the costs topic."""

    day: int
    """Days of UTC since the epoch."""
    model: str
    key_hash: str
    writer: str
    """Random; sums of different writers add up."""


class Spent(Record):
    """The value: sums so far."""

    calls: int = 0
    """That were answered, also with what could not be used."""
    input_tokens: int = 0
    output_tokens: int = 0
    picodollars: int = 0
    unanswered_calls: int = 0
    """That may have been billed: nobody heard what they took."""
    unanswered_tokens: int = 0
    """At most."""
    unanswered_picodollars: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent.of(mine + others for mine, others in zip(self.sums(), other.sums(), strict=True))

    def sums(self) -> tuple[int, ...]:
        return tuple(value for _, value in self)

    @classmethod
    def of(cls, sums: Iterable[int]) -> Spent:
        """Back from :meth:`sums`, which take less memory."""
        return cls(**dict(zip(cls.model_fields, sums, strict=True)))


@dataclass(slots=True)
class CostFigures:
    """Of money."""

    tokens_input: int = counter("Tokens that went in.")
    tokens_output: int = counter("Tokens that came out.")
    cost_microdollars: int = counter("By the declared prices; what is less than one is not shown.")
    calls_unanswered: int = counter(
        "Calls that ended without an answer after they were sent; they may have been billed."
    )
    cost_unanswered_microdollars: int = counter("What those cost at most.")


class Costs:
    """Keeps the sums of one subtask. ``day`` gives the current day of UTC."""

    def __init__(self, write: Write, day: Callable[[], int], figures: CostFigures | None = None) -> None:
        self.figures = figures or CostFigures()
        self._write, self._day = write, day
        self._answered = self._unanswered = 0
        """Picodollars."""
        self._writer, self._begun_anew = uuid.uuid4().hex[:16], 0
        self._sums: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        """By day, key and model: how many were begun anew before it, and :meth:`Spent.sums`."""

    def answered(self, model: str, key_hash: str, usage: Usage, amount: Amount) -> None:
        figures = self.figures
        figures.tokens_input += usage.input_tokens
        figures.tokens_output += usage.output_tokens
        self._answered += amount.picodollars
        figures.cost_microdollars = self._answered // PICODOLLARS_PER_MICRODOLLAR
        self._add(
            model,
            key_hash,
            Spent(
                calls=1,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                picodollars=amount.picodollars,
            ),
        )

    def unanswered(self, model: str, key_hash: str, most: Amount) -> None:
        figures = self.figures
        figures.calls_unanswered += 1
        self._unanswered += most.picodollars
        figures.cost_unanswered_microdollars = self._unanswered // PICODOLLARS_PER_MICRODOLLAR
        self._add(
            model,
            key_hash,
            Spent(
                unanswered_calls=1,
                unanswered_tokens=most.tokens,
                unanswered_picodollars=most.picodollars,
            ),
        )

    def _add(self, model: str, key_hash: str, spent: Spent) -> None:
        day = self._day()
        at = f"{day} {key_hash} {model}"
        begun, *sums = self._sums.pop(at, (self._begun_anew, *Spent().sums()))
        total = Spent.of(sums) + spent
        self._sums[at] = begun, *total.sums()
        if len(self._sums) > SUMS_HELD:
            self._sums.popitem(last=False)
            self._begun_anew += 1
        key = CostKey(day=day, model=model, key_hash=key_hash, writer=f"{self._writer}-{begun}")
        self._write(key.encode(), total.encode())


class Cost(NamedTuple):
    """A line of the bill."""

    day: int
    model: str
    key_hash: str
    spent: Spent


def costs_in(records: Iterable[tuple[bytes | None, bytes | None]]) -> Iterator[Cost]:
    """Sums by day, model and key, of the topic's records in their order. Raises ValueError for others."""
    last = {key: value for key, value in records if key is not None and value is not None}
    sums: dict[tuple[int, str, str], Spent] = {}
    for encoded, value in last.items():
        key = CostKey.model_validate_json(encoded)
        at = key.day, key.model, key.key_hash
        sums[at] = sums.get(at, Spent()) + Spent.model_validate_json(value)
    for (day, model, key_hash), spent in sorted(sums.items()):
        yield Cost(day, model, key_hash, spent)
