"""`headrace trace`: what an agent's runs did, step by step."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from headrace.commands.common import (
    AgentName,
    AsJson,
    DeclarationFile,
    StackName,
    console,
    duration_s,
    errors,
    moment,
    print_json,
    reported,
    since_ms,
)
from headrace.operations.agents import find_agent
from headrace.operations.dead_letters import where
from headrace.operations.stack import Stack
from headrace.operations.traces import Node, duration_ms, matching, one, runs, tree
from headrace_agents.model.amounts import PICODOLLARS_PER_DOLLAR
from headrace_agents.run_log import RunLog, StepLog

ID_CHARS = 12


def trace(  # noqa: PLR0913, PLR0917 (each option is an argument)
    name: AgentName,
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="Its id or the beginning of it, or TOPIC/PARTITION@OFFSET."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DURATION", help="Of the last 30m, 1h, 48h.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that became dead letters.")] = False,
    slower_than: Annotated[
        str | None, typer.Option("--slower-than", metavar="DURATION", help="Only those that took longer.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The newest ones, that many.")] = 20,
    stack: StackName = "local",
    file: DeclarationFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what a run did: its steps as a tree with times, tokens and costs. Without RUN, list the newest.

    A run is that of one event. Prompts and answers are shown where the agent declares `run_log: prompts`.

    [dim]headrace trace support-triage --failed --since 1h[/]
    [dim]headrace trace support-triage 3f9a[/]
    [dim]headrace trace order-risk support.public.orders/0@12 --json[/]
    """
    with reported():
        spec = find_agent(Stack.find(stack, file).plan, name).spec
        if run is not None:
            found = one(spec, run)
            if as_json:
                print_json(found.model_dump(mode="json"))
            else:
                console.print(_tree(found))
            return
        begin_ms = since_ms(since, "--since") if since else None
        slower_ms = round(duration_s(slower_than, "--slower-than") * 1000) if slower_than else None
        listed = matching(runs(spec, begin_ms), failed=failed, slower_than_ms=slower_ms)
        shown = listed[-limit:]
        if as_json:
            print_json([each.model_dump(mode="json") for each in shown])
            return
        console.print(_table(name, shown) if shown else f"{name} has no such runs")
        if len(shown) < len(listed):
            errors.print(f"the newest {len(shown)} of {len(listed)}; --limit shows more")


def _table(name: str, shown: list[RunLog]) -> Table:
    table = Table(title=f"Runs of {name}", title_justify="left")
    for column in ("run", "started", "event", "became"):
        table.add_column(column, overflow="fold")
    for column in ("ms", "steps", "tokens", "usd"):
        table.add_column(column, justify="right")
    for run in shown:
        table.add_row(
            run.id[:ID_CHARS],
            moment(run.started_at_ms, "milliseconds"),
            where(run.event.position),
            _became(run),
            str(duration_ms(run)),
            str(len(run.steps)),
            str(sum(step.input_tokens + step.output_tokens for step in run.steps)),
            f"{sum(step.picodollars for step in run.steps) / PICODOLLARS_PER_DOLLAR:.6f}",
        )
    return table


def _tree(run: RunLog) -> Tree:
    event = where(run.event.position)
    waited = run.started_at_ms - run.accepted_at_ms
    made = f"settings version {run.settings_version}" if run.settings_version else "settings as declared"
    root = Tree(
        f"[bold]{run.id}[/] {escape(event)}: {_became(run)}, {duration_ms(run)} ms after {waited} ms in the "
        f"inbox; {made}{'; too long to be told whole' if run.truncated else ''}"
    )
    for node in tree(run.steps):
        _add(root, node, run.started_at_ms)
    return root


def _add(to: Tree, node: Node, began: int) -> None:
    branch = to.add(_step(node, began))
    for message in node.step.prompt or ():
        branch.add(f"[dim]{escape(str(message['role']))}:[/] {escape(str(message['content']))}")
    if node.step.answer is not None:
        branch.add(f"[dim]answer:[/] {escape(node.step.answer)}")
    for within in node.within:
        _add(branch, within, began)


def _step(node: Node, began: int) -> str:
    step = node.step
    said = [f"[cyan]{escape(node.name)}[/]", f"+{step.started_at_ms - began} ms"]
    said.append("[yellow]read back[/]" if step.read_back else f"{duration_ms(step)} ms")
    if step.cached:
        said.append(f"{escape(step.model)} [green]cached[/]")
    if step.attempts:
        said.append(_call(step))
    if step.error is not None:
        said.append(f"[red]{escape(step.error)}[/]")
    return "  ".join(said)


def _call(step: StepLog) -> str:
    attempts = f"{step.attempts} attempt{'s' if step.attempts > 1 else ''}"
    cost = f"{step.picodollars / PICODOLLARS_PER_DOLLAR:.6f} usd"
    return f"{escape(step.model)} {attempts}, {step.input_tokens}+{step.output_tokens} tokens, {cost}"


def _became(run: RunLog) -> str:
    if run.status == "decided":
        return f"[green]{run.decisions} decision{'' if run.decisions == 1 else 's'}[/]"
    return f"[red]{run.reason or run.status}[/]"
