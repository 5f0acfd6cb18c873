"""`headrace up`: from a declaration to agents that decide."""

from __future__ import annotations

import shutil
import time
from collections import Counter

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headrace.local.context import HOST
from headrace.operations.credentials import keep_credentials
from headrace.operations.decisions import Decided, follow
from headrace.operations.demo import send_demo
from headrace.operations.plans import record_plan
from headrace.operations.preflight import preflight
from headrace.operations.session import session
from headrace.operations.stack import Stack
from headrace.operations.upgrades import refuse_upgrades

DEMO_PATIENCE_S = 120


def up(stack: Stack, console: Console, *, demo: bool) -> None:
    """Bring the stack to its declaration, send the demo where it was not sent, show what to do next."""
    for warning in preflight(stack):
        console.print(f"[yellow]{escape(warning)}[/]")
    with session(stack.files):
        keep_credentials(stack)
        stack.engine.select()
        stack.engine.clear_interrupted()
        for said in refuse_upgrades(stack):
            console.print(escape(said), soft_wrap=True)
        stack.engine.up()
        record_plan(stack)
        if demo:
            _show_demo(stack, console)
    console.print(_addresses(stack))
    console.print(_next_commands(stack))


def decision_line(decided: Decided) -> str:
    """One line for people: what was decided, for whom, how long after the commit."""
    outcome = decided.outcome
    latency = f"{decided.latency_ms / 1000:.2f} s" if decided.latency_ms is not None else "-"
    where = f"{outcome['topic']}/{outcome['partition']}@{outcome['offset']}"
    if outcome["status"] != "decided":
        return f"[red]{outcome['agent']}  {where}  dead letter: {outcome['reason']}[/]"
    said = "; ".join(
        # What a model said may look like markup.
        f"{d['kind']} " + " ".join(f"{k}=[bold]{escape(str(v))}[/]" for k, v in d["decision"].items())
        for d in decided.decisions
    )
    return f"[cyan]{outcome['agent']}[/]  {where}  {said or 'no decision'}  [green]{latency}[/]"


def _show_demo(stack: Stack, console: Console) -> None:
    bootstrap = f"{HOST}:{stack.plan.ports.kafka}"
    outcomes = follow(stack.plan, bootstrap)
    next(outcomes)  # positioned at the end before the first row is sent
    expected = _expected_outcomes(stack, Counter(send_demo(stack)))
    if not expected:
        return
    console.print(
        f"\n[bold]Demo:[/] rows inserted into PostgreSQL; {expected} events on their way to the agents"
    )
    deadline = time.monotonic() + DEMO_PATIENCE_S
    for decided in outcomes:
        if decided:
            console.print(decision_line(decided), soft_wrap=True)
            expected -= 1
        if not expected:
            return
        if time.monotonic() > deadline:
            late = f"{expected} outcomes are not there after {DEMO_PATIENCE_S} s: see `headrace status`"
            console.print(f"[yellow]{late}[/]")
            return


def _expected_outcomes(stack: Stack, inserted: Counter[str]) -> int:
    """Each inserted row is one event for each agent that reads its table."""
    return sum(inserted[i.topic] for agent in stack.plan.agents for i in agent.spec.inputs)


def _addresses(stack: Stack) -> Table:
    ports = stack.plan.ports
    table = Table(title="Addresses", title_justify="left", show_header=False)
    for name, address in (
        ("Flink", f"http://{HOST}:{ports.flink_rest}"),
        ("Kafka", f"{HOST}:{ports.kafka}"),
        ("Kafka Connect", f"http://{HOST}:{ports.connect}/connectors?expand=status"),
        (
            "PostgreSQL",
            f"{HOST}:{ports.postgres}, user postgres, password in {stack.files.secret('postgres.password')}",
        ),
        *([("Prometheus", f"http://{HOST}:{ports.prometheus}")] if shutil.which("prometheus") else []),
        ("logs, data, state", str(stack.files.root)),
    ):
        table.add_row(name, address)
    return table


def _next_commands(stack: Stack) -> Table:
    table = Table(title="Next", title_justify="left", show_header=False)
    make = "" if stack.name == "local" else f" STACK={stack.name}"
    table.add_row(f"make watch{make}", "decisions as they become visible, with their latency")
    table.add_row(f"make plan{make}", "everything that was worked out from the declaration, and why")
    table.add_row(f"make down{make}", "stop it all, with savepoints; data stays for the next `make up`")
    return table
