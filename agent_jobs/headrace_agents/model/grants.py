"""What is granted of budgets, as it is kept: requests in a topic, whose order decides.

Every subtask reads the topic in its order and comes to the same grants, so none has to ask another: of what
is asked for, as much is granted as the day's allowance has left at that place in the topic. An account's
records are all in one partition.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from headrace_agents.model.amounts import NOTHING, Amount
from headrace_agents.model.budget import Account


class Entry(BaseModel):
    """A record of the budgets topic."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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

    def encode(self) -> bytes:
        return self.model_dump_json().encode()


class Grants:
    """Sums of the records of a topic's partitions, each taken in its order."""

    def __init__(self) -> None:
        self._granted: dict[tuple[int, str, str | None], Amount] = {}
        self._day = 0

    def take(self, entry: Entry) -> Amount:
        """What is granted by this entry."""
        at = entry.day, entry.model, entry.key_hash
        granted = self._granted.get(at, NOTHING)
        if entry.kind == "returned":
            self._granted[at] = granted - entry.amount
            return NOTHING
        self._forget_before(entry.day)
        allowance = Amount(entry.allowance_tokens, entry.allowance_picodollars)
        left = (allowance - granted).at_least(NOTHING)
        given = entry.amount.at_most(left)
        self._granted[at] = granted + given
        return given

    def _forget_before(self, day: int) -> None:
        """The day before is kept: at midnight some clocks are late."""
        if day > self._day:
            self._day = day
            self._granted = {at: granted for at, granted in self._granted.items() if at[0] >= day - 1}


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
