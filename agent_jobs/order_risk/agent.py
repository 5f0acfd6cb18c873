"""Says how risky a paid order is, holds the risky ones, and tells of orders that nobody pays.

Two tables meet in the memory of an order, whichever row comes first: the order and its payments.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from headrace_agents import (
    Agent,
    Change,
    Context,
    Message,
    Reminder,
    ToolError,
    beside,
    on,
    on_reminder,
    takes,
)
from order_risk.holds import Hold, place_hold

Level = Literal["low", "medium", "high"]
PAID = "paid"
CANCELLED = "cancelled"


class Order(BaseModel):
    """A row of ``public.orders``; all but its id may be missing from the row before a change."""

    order_id: int
    customer_id: int | None = None
    amount: Decimal | None = None
    currency: str | None = None
    country: str | None = None
    """ISO 3166, two letters."""
    status: str | None = None


class Payment(BaseModel):
    """A row of ``public.payments``; all but its ids may be missing from the row before a change."""

    id: int
    order_id: int
    amount: Decimal | None = None
    status: str | None = None
    method: str | None = None


class OrderMemory(BaseModel):
    """What is known of one order."""

    order: Order | None = None
    """None until its row has come: a payment may be first."""
    payments: dict[int, Payment] = Field(default_factory=dict)
    judged: list[int] = Field(default_factory=list)
    """Payments that an assessment has seen."""
    hold: str | None = None
    """Id of the hold that was placed."""
    reminded: bool = False
    """Whether the reminder of its payment was set, which is once for an order."""

    @property
    def is_paid(self) -> bool:
        return any(payment.status == PAID for payment in self.payments.values())


class PaymentDue(BaseModel):
    """A reminder: by now the order should have been paid."""

    order_id: int


class RiskAnswer(BaseModel):
    """What the model is asked for."""

    model_config = ConfigDict(extra="forbid")

    risk: Level
    reason: str


class Assessed(BaseModel):
    order_id: int
    customer_id: int | None
    amount: Decimal | None
    risk: Level
    """The model's, or a higher one that a rule demands."""
    reason: str
    payments: int
    """Of this order, so far."""
    hold: str | None
    """Id of the hold; None where the order may go out."""


class Unpaid(BaseModel):
    order_id: int
    customer_id: int | None
    amount: Decimal | None
    attempts: int
    """Payments that did not succeed."""


class RiskSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    payment_within_minutes: int = Field(default=60, gt=0)
    held_above: Decimal = Field(default=Decimal(5000), gt=0)
    """In the order's currency: what costs more is held, whatever the model says."""
    watched_countries: tuple[str, ...] = ("KP", "IR")
    """ISO 3166, two letters: an order from there has at least a medium risk."""
    task: Annotated[str, takes()] = beside(__file__, "task.txt")
    """What the model is told of its task."""
    question: Annotated[str, takes("order_id", "amount", "currency", "country", "payments")] = beside(
        __file__, "question.txt"
    )
    holds: Path | None = None
    """Folder on every TaskManager; without one a hold stands in the decision only."""


class CountryRules(BaseModel):
    country: str
    watched: bool


class OrderTools:
    """What the model may look up, of one order."""

    def __init__(self, memory: OrderMemory, order: Order, settings: RiskSettings) -> None:
        self._memory = memory
        self._order = order
        self._settings = settings

    def payment_history(self, status: str | None = None) -> list[Payment]:
        """Payments of the order, the oldest first; with a status only those that have it."""
        payments = (self._memory.payments[number] for number in sorted(self._memory.payments))
        return [payment for payment in payments if status is None or payment.status == status]

    def country_rules(self, country: str | None = None) -> CountryRules:
        """What holds for orders from a country (ISO 3166, two letters); without one, the order's own."""
        wanted = country or self._order.country
        if wanted is None:
            raise ToolError("the order has no country")
        return CountryRules(country=wanted, watched=wanted in self._settings.watched_countries)


Decision = Assessed | Unpaid
RiskContext = Context[OrderMemory, Decision]


class OrderRisk(Agent[OrderMemory, Decision, RiskSettings]):
    async def rehearse(self, step: str, arguments: list[Any], options: dict[str, Any]) -> Hold:  # noqa: ARG002
        """No order is held by a rehearsal."""
        if step != "hold":
            raise NotImplementedError(step)
        _folder, order_id, reason = arguments
        return Hold(id="rehearsed", order_id=order_id, reason=reason)

    @on("public.orders", "create", "read", "update")
    async def order_changed(self, ctx: RiskContext, change: Change[Order]) -> None:
        memory = ctx.memory
        memory.order = change.row
        if not memory.reminded:
            memory.reminded = True
            within = timedelta(minutes=self.settings.payment_within_minutes)
            ctx.remind(within, PaymentDue(order_id=change.row.order_id))
        await self._assess(ctx)

    @on("public.orders", "delete")
    async def order_deleted(self, ctx: RiskContext, _change: Change[Order]) -> None:
        ctx.memory = OrderMemory(reminded=ctx.memory.reminded)

    @on("public.payments", "create", "read", "update")
    async def payment_changed(self, ctx: RiskContext, change: Change[Payment]) -> None:
        ctx.memory.payments[change.row.id] = change.row
        await self._assess(ctx)

    @on("public.payments", "delete")
    async def payment_deleted(self, ctx: RiskContext, change: Change[Payment]) -> None:
        ctx.memory.payments.pop(change.row.id, None)

    @on_reminder
    async def payment_due(self, ctx: RiskContext, reminder: Reminder[PaymentDue]) -> None:
        memory, order = ctx.memory, ctx.memory.order
        if order is None or order.status == CANCELLED or memory.is_paid:
            return
        ctx.emit(
            Unpaid(
                order_id=reminder.payload.order_id,
                customer_id=order.customer_id,
                amount=order.amount,
                attempts=len(memory.payments),
            )
        )

    async def _assess(self, ctx: RiskContext) -> None:
        """Once both sides are there, for payments that no assessment has seen."""
        memory, order = ctx.memory, ctx.memory.order
        new = [number for number in memory.payments if number not in memory.judged]
        if order is None or order.status == CANCELLED or not new:
            return
        tools = OrderTools(memory, order, self.settings)
        reply = await ctx.model(
            self._question(order, memory),
            answer=RiskAnswer,
            tools=[tools.payment_history, tools.country_rules],
            max_turns=6,
        )
        risk = self._at_least(order, reply.content.risk)
        if risk == "high" and memory.hold is None:
            memory.hold = (await self._hold(ctx, order, reply.content.reason)).id
        memory.judged += new
        ctx.emit(
            Assessed(
                order_id=order.order_id,
                customer_id=order.customer_id,
                amount=order.amount,
                risk=risk,
                reason=reply.content.reason,
                payments=len(memory.payments),
                hold=memory.hold,
            )
        )

    async def _hold(self, ctx: RiskContext, order: Order, reason: str) -> Hold:
        return await ctx.step("hold", place_hold, self.settings.holds, order.order_id, reason)

    def _at_least(self, order: Order, said: Level) -> Level:
        if order.amount is not None and order.amount > self.settings.held_above:
            return "high"
        if said == "low" and order.country in self.settings.watched_countries:
            return "medium"
        return said

    def _question(self, order: Order, memory: OrderMemory) -> list[Message]:
        question = self.settings.question.format(
            order_id=order.order_id,
            amount=order.amount,
            currency=order.currency or "",
            country=order.country or "nowhere",
            payments=len(memory.payments),
        )
        return [Message("system", self.settings.task.format()), Message("user", question)]
