"""What each attempt takes: reserved before it, settled and counted after it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from headrace_agents.chat import Caller, CallReport, ModelError, Usage
from headrace_agents.model.amounts import NOTHING, Amount, amount_of
from headrace_agents.model.budget import Budget, BudgetFigures, Ledger, Loan, day_of
from headrace_agents.model.costs import CostFigures, Costs, Write
from headrace_agents.spec import ChatEndpointSpec, EndpointSpec


class Metered(Protocol):
    """A request, as far as it matters to who pays."""

    @property
    def caller(self) -> Caller | None: ...
    @property
    def report(self) -> CallReport | None: ...


class Charge:
    """Of one attempt; exactly one of its methods is called, once. This one counts nothing."""

    def answered(self, usage: Usage) -> None:
        """It took this."""

    def unanswered(self) -> None:
        """It may have been billed: the budget takes it as if it had taken the most."""

    def refused(self) -> None:
        """It was made, and costs nothing."""

    def not_made(self) -> None:
        """What was reserved goes back."""

    def failed(self, error: ModelError) -> None:
        if error.taken == "unknown":
            self.unanswered()
        elif error.taken is None:
            self.refused()
        else:
            self.answered(error.taken)


class _Counted(Charge):
    """In the budget, the costs and the call's own report."""

    __slots__ = ("_costs", "_key_hash", "_loan", "_most", "_report", "_spec")

    def __init__(
        self, spec: EndpointSpec, request: Metered, most: Amount, loan: Loan | None, costs: Costs | None
    ) -> None:
        self._spec, self._most, self._loan, self._costs = spec, most, loan, costs
        self._key_hash = "" if request.caller is None else request.caller.key_hash
        self._report = request.report

    def answered(self, usage: Usage) -> None:
        if not usage.total_tokens:
            # Nobody counted: what it took is not known, and not nothing.
            self.unanswered()
            return
        amount = amount_of(usage, self._spec.prices)
        self._settle(amount)
        self._tried()
        if (report := self._report) is not None:
            report.model = self._spec.name
            report.input_tokens += usage.input_tokens
            report.output_tokens += usage.output_tokens
            report.picodollars += amount.picodollars
        if self._costs is not None:
            self._costs.answered(self._spec.name, self._key_hash, usage, amount)

    def unanswered(self) -> None:
        self._settle(self._most)
        self._tried()
        if self._costs is not None:
            self._costs.unanswered(self._spec.name, self._key_hash, self._most)

    def refused(self) -> None:
        self._tried()
        self._settle(NOTHING)

    def not_made(self) -> None:
        self._settle(NOTHING)

    def _tried(self) -> None:
        if self._report is not None:
            self._report.attempts += 1

    def _settle(self, used: Amount) -> None:
        if self._loan is not None:
            self._loan.settle(used)


class Meter:
    """Of one endpoint of one subtask."""

    def __init__(self, spec: EndpointSpec, budget: Budget | None = None, costs: Costs | None = None) -> None:
        self._spec, self._budget, self._costs = spec, budget, costs

    async def charge(self, request: Metered, most: Amount, *, waits: bool = True) -> Charge:
        """Of an attempt that takes no more than ``most``.

        Raises ModelError (``budget``); where it ``waits`` not, also where the budget would have it wait.
        """
        budget = self._budget
        loan = None if budget is None else await budget.reserve(most, request.caller, waits=waits)
        return _Counted(self._spec, request, most, loan, self._costs)

    def close(self) -> None:
        if self._budget is not None:
            self._budget.close()


class SpendingLedger(Ledger, Protocol):
    """Where grants and costs are kept."""

    @property
    def write_cost(self) -> Write: ...


class Meters:
    """Makes the meters of all endpoints of one subtask: what they take is counted together."""

    def __init__(
        self,
        ledger: SpendingLedger,
        subtasks: int = 1,
        costs: CostFigures | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger, self._subtasks = ledger, subtasks
        self._costs = Costs(ledger.write_cost, lambda: day_of(clock()), costs)

    def capped(self, spec: ChatEndpointSpec, figures: BudgetFigures | None = None) -> Meter:
        """With a budget, where one is declared."""
        if spec.budget is None:
            return self.uncapped(spec)
        budget = Budget(spec.name, spec.budget, self._ledger, self._subtasks, figures=figures)
        return Meter(spec, budget, self._costs)

    def uncapped(self, spec: EndpointSpec) -> Meter:
        """That only counts."""
        return Meter(spec, None, self._costs)
