"""Where grants and costs are kept in tests, and who asks for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext

from headrace_agents.chat import Caller
from headrace_agents.model.amounts import Amount
from headrace_agents.model.budget import Account
from headrace_agents.model.grants import Grants, entry


class Topic:
    """A ledger as the topic has it: whatever is written is taken by everyone in one order."""

    def __init__(self) -> None:
        self.grants = Grants()
        self.granted: dict[tuple[Account, int], Amount] = {}
        self.paused: list[int] = []
        self.asked = 0
        self.costs: dict[bytes | None, bytes | None] = {}

    async def grant(self, account: Account, day: int, asked: Amount, allowance: Amount) -> Amount:
        self.asked += 1
        await asyncio.sleep(0)
        return self.grants.take(
            entry("asked", account, day, asked, writer="w", number=0, allowance=allowance)
        )

    def left(self, account: Account, day: int, allowance: Amount) -> Amount:
        return self.grants.would_give(account, day, allowance, allowance)

    def give_back(self, account: Account, day: int, amount: Amount) -> None:
        self.grants.take(entry("returned", account, day, amount, writer="w", number=0))

    def pause_agent(self, day: int) -> None:
        self.paused.append(day)

    def write_cost(self, key: bytes, value: bytes) -> None:
        self.costs[key] = value


def caller(key: str, suspended: Callable[[], object] = nullcontext) -> Caller:
    return Caller(0, key, suspended)  # type: ignore[arg-type]
