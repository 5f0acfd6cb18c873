"""Budgets that can't be kept, or that let no call through."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from headrace.environment.model import ChatEndpoint
from headrace.environment.money_parts import Budget, KeyBudget
from headrace.environment.parts import Parts, Placed
from headrace.environment.problem import Path, Problem
from headrace.environment.units import MICRODOLLARS


def budget_without_limit(parts: Parts) -> Iterator[Problem]:
    """A budget limits tokens or money, of the agent or of each key."""
    for model, _, path, budget in _budgets(parts):
        limits: list[object] = [budget.usd_per_day, budget.tokens_per_day]
        if isinstance(budget, Budget):
            limits.append(budget.per_key)
        if all(limit is None for limit in limits):
            also = " or per_key" if isinstance(budget, Budget) else ""
            yield model.problem(
                *path, given="0 limits", allowed=f"usd_per_day, tokens_per_day{also}: at least one of them"
            )


def money_without_prices(parts: Parts) -> Iterator[Problem]:
    """A budget in dollars needs the model's `prices`."""
    for model, value, path, budget in _budgets(parts):
        if budget.usd_per_day is not None and value.prices is None:
            yield model.problem(
                *path,
                "usd_per_day",
                given=f"{budget.usd_per_day:g} without prices",
                allowed="declared beside prices: money is counted at these",
            )


def budget_below_one_call(parts: Parts) -> Iterator[Problem]:
    """A budget covers one call that puts out as much as it may, or none would ever be made."""
    for model, value, path, budget in _budgets(parts):
        tokens = value.most_output_tokens or 0
        if budget.tokens_per_day is not None and budget.tokens_per_day <= tokens:
            yield model.problem(
                *path,
                "tokens_per_day",
                given=str(budget.tokens_per_day),
                allowed=f"more than the {tokens} tokens of max_output_tokens, which one call may take",
            )
        if budget.usd_per_day is None or value.prices is None:
            continue
        cost = tokens * value.prices.output / MICRODOLLARS
        if budget.usd_per_day <= cost:
            yield model.problem(
                *path,
                "usd_per_day",
                given=f"{budget.usd_per_day:g}",
                allowed=f"more than the {cost:g} that one call's {tokens} tokens of max_output_tokens "
                "may cost",
            )


def budgets_of_one_name(parts: Parts) -> Iterator[Problem]:
    """A model and fallbacks with budgets have a name each: what is granted goes by it."""
    named: set[tuple[Path, str]] = set()
    for agent, model in parts.chat_endpoints:
        if model.value.budget is None:
            continue
        if (agent.path, model.value.name) in named:
            yield model.problem(
                "name",
                given=f"{model.value.name!r} with a budget, a second time",
                allowed="a name of its own, or 1 budget: both would be granted from the same account",
            )
        named.add((agent.path, model.value.name))


def _budgets(
    parts: Parts,
) -> Iterator[tuple[Placed[ChatEndpoint], ChatEndpoint, tuple[str, ...], Budget | KeyBudget]]:
    for _agent, model in parts.chat_endpoints:
        budget = model.value.budget
        if budget is None:
            continue
        yield model, model.value, ("budget",), budget
        if budget.per_key is not None:
            yield model, model.value, ("budget", "per_key"), budget.per_key


RULES: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    budget_without_limit,
    money_without_prices,
    budget_below_one_call,
    budgets_of_one_name,
)
