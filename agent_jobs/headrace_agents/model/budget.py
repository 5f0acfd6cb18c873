"""Budgets that are kept: what a call can take at most is reserved before it, and settled after it.

A subtask holds parts of each account's allowance for the day, which a :class:`Ledger` grants it, and lends
from them to its calls. What is granted is durable before it is used, so a worker that is killed can only lose
what it held: nothing is spent twice (``docs/decisions/0033-budgets-are-granted-in-parts.md``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from headrace_agents.chat import Caller, ModelError
from headrace_agents.figures import counter, gauge
from headrace_agents.model.amounts import NOTHING, PICODOLLARS_PER_MICRODOLLAR, Amount
from headrace_agents.spec import AllowanceSpec, BudgetSpec

DAY_S = 86_400
"""An allowance's window: a day of UTC."""


def day_of(seconds: float) -> int:
    """Days of UTC since the epoch."""
    return int(seconds // DAY_S)


AGENT_PARTS, KEY_PARTS = 100, 10
"""An allowance is granted in about so many parts: of an agent's, to all subtasks together."""
_ASKED_AGAIN_S = 1.0
"""When an allowance is used up, others may still give back what they hold."""


@dataclass(frozen=True, slots=True)
class Account:
    """Of a model: the agent's, or one key's."""

    model: str
    shard: int = 0
    """Of the key, by its index; an agent's account is kept with those of the first."""
    key: str | None = None
    """The hash of the business key."""


class Ledger(Protocol):
    """Where grants are kept; one for all subtasks of an agent."""

    async def grant(self, account: Account, day: int, asked: Amount, allowance: Amount) -> Amount:
        """As much of what is asked for as is left of the day's allowance, durably."""

    def left(self, account: Account, day: int, allowance: Amount) -> Amount:
        """Of the day's allowance, by what is known here; waits for nothing."""

    def give_back(self, account: Account, day: int, amount: Amount) -> None:
        """What was granted and not used; below nothing, what was used beyond it."""

    def pause_agent(self, day: int) -> None:
        """Tells every shard of the agent to start no run."""


@dataclass(slots=True)
class BudgetFigures:
    """Of the agent's budget: what is left of the day is what any subtask sees left, and what all hold."""

    budget_waits: int = counter("Calls that waited for the next day.")
    budget_refusals: int = counter("Calls that were not made.")
    budget_left_microdollars: int = gauge(
        "Left of the agent's allowance of the day, and granted to no subtask yet; as of its last call."
    )
    budget_left_tokens: int = gauge("The same, of an allowance in tokens.")
    budget_held_microdollars: int = gauge("Granted to this subtask, and neither spent nor given back.")
    budget_held_tokens: int = gauge("The same, of an allowance in tokens.")


@dataclass(slots=True)
class _Purse:
    """What a subtask holds of one account."""

    account: Account
    spec: AllowanceSpec
    parts: int
    """That the allowance is granted in."""
    day: int
    held: Amount = NOTHING
    refill: asyncio.Lock = field(default_factory=asyncio.Lock)
    used_up_until: float = 0.0

    @property
    def allowance(self) -> Amount:
        tokens, microdollars = self.spec.tokens, self.spec.microdollars
        return Amount(tokens or 0, (microdollars or 0) * PICODOLLARS_PER_MICRODOLLAR)

    @property
    def part(self) -> Amount:
        allowance = self.allowance
        return Amount(-(-allowance.tokens // self.parts), -(-allowance.picodollars // self.parts))

    def counted(self, amount: Amount) -> Amount:
        """Of what is limited."""
        return Amount(
            0 if self.spec.tokens is None else amount.tokens,
            0 if self.spec.microdollars is None else amount.picodollars,
        )

    def covers(self, amount: Amount) -> bool:
        return self.held.covers(self.counted(amount))


@dataclass(slots=True)
class Loan:
    """Of one call; settle it exactly once."""

    most: Amount
    day: int
    purses: tuple[_Purse, ...]
    ledger: Ledger

    def settle(self, used: Amount) -> None:
        """What is left goes back to where it came from, while its day lasts."""
        for purse in self.purses:
            if purse.day == self.day:
                purse.held += purse.counted(self.most - used)
                self._share(purse)

    def _share(self, purse: _Purse) -> None:
        """What many calls at once left is for other subtasks: no more is kept than the next calls need."""
        kept = purse.part + purse.counted(self.most)
        if purse.held.covers(kept + kept) and purse.held != NOTHING:
            self.ledger.give_back(purse.account, purse.day, purse.held - kept)
            purse.held = kept


class Budget:
    """Of one model of one subtask; used on one event loop. ``clock`` gives seconds since the epoch."""

    def __init__(
        self,
        model: str,
        spec: BudgetSpec,
        ledger: Ledger,
        subtasks: int,
        *,
        figures: BudgetFigures | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.figures = figures or BudgetFigures()
        self._model, self._spec, self._ledger, self._clock = model, spec, ledger, clock
        self._parts = AGENT_PARTS * subtasks
        self._agent: _Purse | None = None
        if spec.agent is not None:
            self._agent = _Purse(Account(model), spec.agent, self._parts, self._day())
        self._keys: dict[str, _Purse] = {}
        self._paused_on: int | None = None

    async def reserve(self, most: Amount, caller: Caller | None, *, waits: bool = True) -> Loan:
        """Waits, where that is declared, until a day has enough left; the run's deadline waits with it.

        Of an attempt that may be left out (``waits`` is False) a refusal counts for nothing.
        """
        waited = False
        # An outage of Kafka, others who ask first, a day's end that is far: none of it ends a run.
        with nullcontext() if caller is None else caller.suspended():
            while True:
                loan = await self._lent(most, caller, waits=waits)
                if loan is not None:
                    return loan
                if self._spec.at_limit == "fail" or not waits:
                    raise self._refusal("allowance", counts=waits)
                if self._spec.at_limit == "pause":
                    self._pause()
                self.figures.budget_waits += not waited
                waited = True
                await asyncio.sleep(min(DAY_S - self._clock() % DAY_S, _ASKED_AGAIN_S))

    def close(self) -> None:
        """Gives back what is held."""
        day = self._day()
        purses = [*self._keys.values(), *([self._agent] if self._agent else [])]
        for purse in purses:
            if purse.day == day and purse.held != NOTHING:
                self._ledger.give_back(purse.account, day, purse.held)
                purse.held = NOTHING
        self._keys.clear()

    async def _lent(self, most: Amount, caller: Caller | None, *, waits: bool) -> Loan | None:
        day = self._day()
        key = self._key(caller)
        if key is not None and not await self._fill(key, most, day):
            raise self._refusal("allowance of this key", counts=waits)
        if self._agent is not None and not await self._fill(self._agent, most, day):
            self._show()
            return None
        # Nothing is waited for from here on; while the second was filled, others may have used the first.
        purses = tuple(purse for purse in (key, self._agent) if purse is not None)
        if any(purse.day != day or not purse.covers(most) for purse in purses):
            return await self._lent(most, caller, waits=waits)
        for purse in purses:
            purse.held -= purse.counted(most)
        self._show()
        return Loan(most, day, purses, self._ledger)

    def _refusal(self, of: str, *, counts: bool) -> ModelError:
        self.figures.budget_refusals += counts
        return ModelError("budget", f"the day's {of} for {self._model} is used up")

    def _key(self, caller: Caller | None) -> _Purse | None:
        if self._spec.key is None or caller is None:
            return None
        purse, day = self._keys.get(caller.key_hash), self._day()
        if purse is None or purse.day != day:
            self._forget_old()
            account = Account(self._model, caller.shard, caller.key_hash)
            purse = self._keys[caller.key_hash] = _Purse(account, self._spec.key, KEY_PARTS, day)
        return purse

    def _forget_old(self) -> None:
        """Once a day; what is held of a day that is over is of no use."""
        day = self._day()
        if any(purse.day != day for purse in self._keys.values()):
            self._keys = {key: purse for key, purse in self._keys.items() if purse.day == day}

    async def _fill(self, purse: _Purse, most: Amount, day: int) -> bool:
        """Whether the purse has enough for a call, if need be by a new grant."""
        async with purse.refill:
            if purse.day > day:
                return True  # it turned while this call waited, which begins anew
            if purse.day < day:
                purse.day, purse.held, purse.used_up_until = day, NOTHING, 0.0
            if purse.covers(most):
                return True
            if self._clock() < purse.used_up_until:
                return False
            asked = purse.part.at_least(purse.counted(most) - purse.held)
            granted = await self._ledger.grant(purse.account, day, asked, purse.allowance)
            if purse.day == day:
                purse.held += granted
            if purse.covers(most):
                return True
            purse.used_up_until = self._clock() + _ASKED_AGAIN_S
            return False

    def _pause(self) -> None:
        day = self._day()
        if self._paused_on != day:
            self._paused_on = day
            self._ledger.pause_agent(day)

    def _show(self) -> None:
        agent, figures = self._agent, self.figures
        if agent is None:
            return
        left = self._ledger.left(agent.account, agent.day, agent.allowance)
        figures.budget_left_tokens = left.tokens
        figures.budget_left_microdollars = left.picodollars // PICODOLLARS_PER_MICRODOLLAR
        figures.budget_held_tokens = agent.held.tokens
        figures.budget_held_microdollars = agent.held.picodollars // PICODOLLARS_PER_MICRODOLLAR

    def _day(self) -> int:
        return day_of(self._clock())
