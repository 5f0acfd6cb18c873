"""What agents' models took, from the topics that their workers write."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic_core import to_json

from headrace.environment.units import DAY_MS
from headrace.local.topics import read_topic
from headrace_agents.kafka_journal import CLOCK_SKEW_MS
from headrace_agents.model.amounts import PICODOLLARS_PER_DOLLAR
from headrace_agents.model.costs import Spent, costs_in
from headrace_agents.records import key_hash
from headrace_agents.spec import AgentJobSpec, ModelSpec

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Bill:
    """What one model took of one agent in one day (of UTC), of one key or of all."""

    agent: str
    model: str
    day: date
    key_hash: str | None
    spent: Spent
    budget_usd: float | None = None
    """Of the agent's day, as it is declared now."""
    budget_tokens: int | None = None

    @property
    def usd(self) -> float:
        return self.spent.picodollars / PICODOLLARS_PER_DOLLAR

    @property
    def unanswered_usd(self) -> float:
        """At most, of calls that ended without an answer: they may have been billed."""
        return self.spent.unanswered_picodollars / PICODOLLARS_PER_DOLLAR

    def as_json(self) -> dict[str, Any]:
        return {
            "agent": self.agent,
            "model": self.model,
            "day": self.day.isoformat(),
            "key_hash": self.key_hash,
            **self.spent.model_dump(exclude={"picodollars", "unanswered_picodollars"}),
            "usd": self.usd,
            "unanswered_usd": self.unanswered_usd,
            "budget_usd": self.budget_usd,
            "budget_tokens": self.budget_tokens,
        }


def today() -> date:
    return datetime.now(UTC).date()


def hash_of_key(values: Iterable[Any]) -> str:
    """Of a business key's values, as workers write it."""
    return key_hash(to_json(list(values)))


def bills(spec: AgentJobSpec, days: int, *, by_key: bool = False, only: str | None = None) -> list[Bill]:
    """Of the last days, today's among them, the newest first and the dearest key first.

    ``only`` is a key's hash. Raises HeadraceError when the topic can't be read.
    """
    since = today() - timedelta(days=days - 1)
    sums: dict[tuple[date, str, str | None], Spent] = {}
    # A day's records are written within it, by clocks that differ a little.
    since_ms = (since - EPOCH).days * DAY_MS - CLOCK_SKEW_MS
    records = read_topic(spec.kafka, spec.spending.costs, since_ms)
    for cost in costs_in((record.key, record.value) for record in records):
        day = EPOCH + timedelta(days=cost.day)
        if day < since or (only is not None and cost.key_hash != only):
            continue
        at = day, cost.model, cost.key_hash if by_key or only is not None else None
        sums[at] = sums.get(at, Spent()) + cost.spent
    found = [
        _with_budget(Bill(spec.name, model, day, key, spent), spec.model)
        for (day, model, key), spent in sums.items()
    ]
    return sorted(found, key=lambda bill: (-bill.day.toordinal(), bill.model, -bill.spent.picodollars))


def _with_budget(bill: Bill, model: ModelSpec | None) -> Bill:
    if model is None or model.budget is None or model.name != bill.model:
        return bill
    allowance = model.budget.agent if bill.key_hash is None else model.budget.key
    if allowance is None:
        return bill
    usd = None if allowance.microdollars is None else allowance.microdollars / 1e6
    return Bill(bill.agent, bill.model, bill.day, bill.key_hash, bill.spent, usd, allowance.tokens)
