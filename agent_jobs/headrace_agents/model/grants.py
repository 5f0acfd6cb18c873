"""What is granted of budgets, as it is kept: requests in a topic, whose order decides.

Every subtask reads the topic in its order and comes to the same grants, so none has to ask another: of what
is asked for, as much is granted as the day's allowance has left at that place in the topic. An account's
records are all in one partition.
"""

from __future__ import annotations

from typing import Literal

from headrace_agents.model.amounts import NOTHING, Amount
from headrace_agents.model.budget import Account
from headrace_agents.records import Record


class Entry(Record):
    """A record of the budgets topic."""

    kind: Literal["asked", "returned"]
    model: str
    key_hash: str | None
    """None: the agent's account."""
    day: int
    """Days of UTC since the epoch."""
    writer: str
    number: int
    """Of the writer's entries."""
    tokens: int
    picodollars: int
    allowance_tokens: int = 0
    """Of the day, as the writer's declaration has it."""
    allowance_picodollars: int = 0

    @property
    def amount(self) -> Amount:
        return Amount(self.tokens, self.picodollars)


class Grants:
    """Sums of the records of a topic's partitions, each taken in its order; of days before the first, nothing
    is granted. About 200 bytes for each key and day.
    """

    def __init__(self, first_day: int = 0) -> None:
        self._first_day = first_day
        self._granted: dict[tuple[int, str], dict[str | None, Amount]] = {}
        """By day and model, then by key."""

    def take(self, entry: Entry) -> Amount:
        """What is granted by this entry."""
        if entry.day < self._first_day:
            return NOTHING
        account = Account(entry.model, key=entry.key_hash)
        if entry.kind == "returned":
            self._add(account, entry.day, NOTHING - entry.amount)
            return NOTHING
        allowance = Amount(entry.allowance_tokens, entry.allowance_picodollars)
        given = self.would_give(account, entry.day, entry.amount, allowance)
        self._add(account, entry.day, given)
        return given

    def would_give(self, account: Account, day: int, asked: Amount, allowance: Amount) -> Amount:
        """What a request would be granted, were it next."""
        if day < self._first_day:
            return NOTHING
        granted = self._granted.get((day, account.model), {}).get(account.key, NOTHING)
        return asked.at_most((allowance - granted).at_least(NOTHING))

    def forget_before(self, day: int) -> None:
        if day > self._first_day:
            self._first_day = day
            self._granted = {at: granted for at, granted in self._granted.items() if at[0] >= day}

    def _add(self, account: Account, day: int, amount: Amount) -> None:
        granted = self._granted.setdefault((day, account.model), {})
        granted[account.key] = granted.get(account.key, NOTHING) + amount


def entry(
    kind: Literal["asked", "returned"],
    account: Account,
    day: int,
    amount: Amount,
    *,
    writer: str,
    number: int,
    allowance: Amount = NOTHING,
) -> Entry:
    return Entry(
        kind=kind,
        model=account.model,
        key_hash=account.key,
        day=day,
        writer=writer,
        number=number,
        tokens=amount.tokens,
        picodollars=amount.picodollars,
        allowance_tokens=allowance.tokens,
        allowance_picodollars=allowance.picodollars,
    )
