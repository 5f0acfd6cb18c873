"""Orders of five tables, whose schemas change: read strictly, and by an agent that is ready for it."""

from __future__ import annotations

from pydantic import BaseModel

from headrace_agents import Agent, Change, Context, on

TABLES = ("added", "keyed", "retyped", "renamed", "dropped")
"""What is done to a column ``amount`` of theirs, or to the primary key."""


class Order(BaseModel):
    id: int
    customer_id: int
    amount: int


class ChangedOrder(BaseModel):
    id: int
    customer_id: int
    amount: int | str | None = None
    total: int | None = None


class Customer(BaseModel):
    orders: int = 0


class Placed(BaseModel):
    order_id: int
    number: int
    """Of the change among the customer's, from 1."""
    amount: str


OrderContext = Context[Customer, Placed]


def _place(ctx: OrderContext, row: Order | ChangedOrder) -> None:
    ctx.memory.orders += 1
    amount = getattr(row, "amount", "none")
    ctx.emit(Placed(order_id=row.id, number=ctx.memory.orders, amount=str(amount)))


class Ordering(Agent[Customer, Placed]):
    @on("public.added")
    @on("public.keyed")
    @on("public.retyped")
    @on("public.renamed")
    @on("public.dropped")
    async def changed(self, ctx: OrderContext, change: Change[Order]) -> None:
        _place(ctx, change.row)


class ReadyOrdering(Agent[Customer, Placed]):
    @on("public.added")
    @on("public.keyed")
    @on("public.retyped")
    @on("public.renamed")
    @on("public.dropped")
    async def changed(self, ctx: OrderContext, change: Change[ChangedOrder]) -> None:
        _place(ctx, change.row)
