"""`headrace costs`: what agents' models took, in tokens and dollars."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from headrace.commands.common import (
    AsJson,
    DeclarationFile,
    StackName,
    console,
    errors,
    print_json,
    reported,
)
from headrace.errors import HeadraceError
from headrace.operations.agents import find_agent
from headrace.operations.costs import Bill, bills, hash_of_key
from headrace.operations.keys import parse_key
from headrace.operations.stack import Stack


def costs(  # noqa: PLR0913, PLR0917 (each option is an argument)
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One agent; all otherwise.")] = None,
    days: Annotated[int, typer.Option("--days", "-d", min=1, max=100, help="Days of UTC, to today.")] = 7,
    by_key: Annotated[
        bool, typer.Option("--by-key", help="By business key too: by its hash, the dearest first.")
    ] = False,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="FIELD=VALUE", help="Only this business key, of one agent."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The first lines, that many.")] = 50,
    stack: StackName = "local",
    file: DeclarationFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what agents' models took: calls, tokens and dollars by agent, model and day, beside the budgets.

    Dollars are at the declared prices. Calls that ended without an answer may have been billed: they stand
    apart, with what they took at most, and count against budgets.

    [dim]headrace costs --days 1[/]
    [dim]headrace costs support-triage --by-key --limit 10[/]
    [dim]headrace costs support-triage --key customer_id=7 --json | jq '.[].usd'[/]
    """
    with reported():
        plan = Stack.find(stack, file).plan
        agents = plan.agents if name is None else [find_agent(plan, name)]
        if key and name is None:
            raise HeadraceError("--key needs the NAME of an agent: a key is one of an agent's")
        only = hash_of_key(parse_key(agents[0].spec.key, key)) if key else None
        found = [
            bill
            for agent in agents
            if agent.spec.model is not None
            for bill in bills(agent.spec, days, by_key=by_key, only=only)
        ]
        if as_json:
            print_json([bill.as_json() for bill in found[:limit]])
            return
        console.print(_view(found[:limit]) if found else "no call of a model is on record for these days")
        if len(found) > limit:
            errors.print(f"{limit} of {len(found)} lines; --limit shows more")


def _view(found: list[Bill]) -> Table:
    keys = any(bill.key_hash is not None for bill in found)
    table = Table(title="Costs", title_justify="left")
    for column in ("agent", "model", "day", *(["key"] if keys else [])):
        table.add_column(column, overflow="fold")
    for column in ("calls", "tokens in", "tokens out", "usd", "of its budget", "unanswered", "at most usd"):
        table.add_column(column, justify="right")
    for bill in found:
        spent = bill.spent
        table.add_row(
            *(bill.agent, bill.model, bill.day.isoformat(), *([bill.key_hash or "-"] if keys else [])),
            f"{spent.calls:,}",
            f"{spent.input_tokens:,}",
            f"{spent.output_tokens:,}",
            f"{bill.usd:,.6f}",
            _share(bill),
            f"{spent.unanswered_calls:,}",
            f"{bill.unanswered_usd:,.6f}",
        )
    return table


def _share(bill: Bill) -> str:
    """Of the nearer limit, calls without an answer among what is used."""
    spent = bill.spent
    shares = []
    if bill.budget_usd is not None:
        shares.append((bill.usd + bill.unanswered_usd) / bill.budget_usd)
    if bill.budget_tokens is not None:
        tokens = spent.input_tokens + spent.output_tokens + spent.unanswered_tokens
        shares.append(tokens / bill.budget_tokens)
    return f"{max(shares):.1%}" if shares else "-"
