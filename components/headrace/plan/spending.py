"""What an agent's models may take, and where it is kept."""

from __future__ import annotations

from headrace.environment import names
from headrace.environment.model import Agent, ChatEndpoint, ModelEndpoint
from headrace.environment.money_parts import USUAL_OUTPUT_TOKENS, Budget, KeyBudget, microdollars
from headrace.plan.because import Because, because, build
from headrace.plan.topics import journal_partitions
from headrace_agents.spec import AllowanceSpec, BudgetSpec, PricesSpec, SpendingSpec


def spending(agent: Agent) -> Because[SpendingSpec]:
    """The topics; they are there without a budget too, so that one can be declared later."""
    named = "the agent's name, and what is in it"
    return build(
        SpendingSpec,
        budgets=because(names.budgets_topic(agent.name), named),
        costs=because(names.costs_topic(agent.name), named),
        partitions=journal_partitions(agent),
    )


def prices(model: ModelEndpoint) -> Because[PricesSpec] | Because[None]:
    """The endpoint's."""
    declared = model.prices
    if declared is None:
        return because(None, "the declaration has 0 prices: what is spent is counted in tokens alone")
    sent, answered = declared.input, declared.output
    return build(
        PricesSpec,
        input_microdollars=because(microdollars(sent), f"declared as prices.input {sent:g}"),
        output_microdollars=because(microdollars(answered), f"declared as prices.output {answered:g}"),
    )


def max_output_tokens(model: ChatEndpoint) -> Because[int] | Because[None]:
    """Of one call."""
    most = model.most_output_tokens
    if most is None:
        return because(None, "the declaration has 0 budgets: the endpoint's own limit is enough")
    if model.max_output_tokens is not None:
        return because(most, f"declared as max_output_tokens {most}")
    return because(
        most, f"{USUAL_OUTPUT_TOKENS}, as with a budget: what a call can take at most is reserved before it"
    )


def budget(model: ChatEndpoint) -> Because[BudgetSpec] | Because[None]:
    """What calls may take a day."""
    declared = model.budget
    if declared is None:
        return because(None, "the declaration limits 0 tokens and 0 dollars a day")
    return build(
        BudgetSpec,
        agent=_allowance(declared, "budget"),
        key=because(None, "the declaration limits 0 keys")
        if declared.per_key is None
        else _allowance(declared.per_key, "budget.per_key"),
        at_limit=because(declared.at_limit, "declared, or wait: no event is lost by it"),
    )


def _allowance(declared: Budget | KeyBudget, field: str) -> Because[AllowanceSpec] | Because[None]:
    tokens, dollars = declared.tokens_per_day, declared.usd_per_day
    if tokens is None and dollars is None:
        return because(None, f"{field} has 0 limits of its own")
    return build(
        AllowanceSpec,
        tokens=because(tokens, f"declared as {field}.tokens_per_day {tokens}")
        if tokens is not None
        else because(None, "the declaration limits 0 tokens"),
        microdollars=because(microdollars(dollars), f"declared as {field}.usd_per_day {dollars:g}")
        if dollars is not None
        else because(None, "the declaration limits 0 dollars"),
    )
