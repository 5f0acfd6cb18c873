"""The command `headrace`: a stack as a whole here, what runs on it in :mod:`headrace.commands`."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from headrace.commands import (
    agent_settings,
    agents,
    backfill,
    capture,
    deadletters,
    image,
    memory,
    plugin,
    reviews,
    state,
    upgrades,
)
from headrace.commands.common import AsJson, DeclarationFile, StackName, console, print_json, reported
from headrace.commands.costs import costs
from headrace.commands.drill import drill
from headrace.commands.preflight import preflight
from headrace.commands.rehearsals import replay
from headrace.commands.trace import trace
from headrace.local.context import HOST
from headrace.operations.clean import clean as clean_stack
from headrace.operations.cloud import cloud_preview, cloud_up
from headrace.operations.decisions import follow
from headrace.operations.down import down as down_stack
from headrace.operations.plans import plan_differences
from headrace.operations.session import session
from headrace.operations.stack import Stack
from headrace.operations.status import status as stack_status
from headrace.operations.status import status_view
from headrace.operations.up import decision_line
from headrace.operations.up import up as up_stack
from headrace.operations.upgrades import refuse_upgrades
from headrace.plan_document import differences_table, document
from headrace.plan_view import plan_json, plan_renderable

app = typer.Typer(
    help="Managed streaming agents: database changes to AI agents on Apache Flink, from one declaration.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
agents.app.command("set")(agent_settings.set_)
agents.app.command("history")(agent_settings.show_history)
agents.app.command()(agent_settings.revert)
agents.app.command()(replay)
app.add_typer(agents.app, name="agents")
app.add_typer(memory.app, name="memory")
app.add_typer(deadletters.app, name="deadletters")
app.add_typer(reviews.app, name="reviews")
app.add_typer(state.app, name="state")
app.add_typer(capture.app, name="capture")
app.add_typer(backfill.app, name="backfill")
app.add_typer(upgrades.app, name="upgrades")
app.command()(preflight)
app.command()(drill)
app.command()(costs)
app.command()(trace)
app.add_typer(image.app, name="image")
app.add_typer(plugin.app, name="plugin")


@app.command()
def up(
    stack: StackName = "local",
    file: DeclarationFile = None,
    demo: Annotated[
        bool, typer.Option(help="Send the demo load where it was not sent before (on this machine).")
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, on AWS.")] = False,
) -> None:
    """Bring a stack up, or to its changed declaration.

    [dim]headrace up --stack local[/]
    [dim]headrace up --stack dev[/]
    """
    with reported():
        found = Stack.find(stack, file)
        if found.on_aws:
            cloud_up(found, ask=not yes)
        else:
            up_stack(found, console, demo=demo)


@app.command()
def down(stack: StackName = "local", file: DeclarationFile = None) -> None:
    """Stop a stack: agents with savepoints, then every process. Data stays.

    [dim]headrace down --stack local[/]
    """
    with reported():
        down_stack(Stack.find(stack, file))


@app.command()
def clean(
    stack: StackName = "local",
    file: DeclarationFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop a stack and remove its data for good.

    [dim]headrace clean --stack local[/]
    """
    with reported():
        found = Stack.find(stack, file)
        if not yes:
            typer.confirm(f"Remove {found.files.root} with its database, topics and checkpoints?", abort=True)
        clean_stack(found)


@app.command()
def plan(
    stack: StackName = "local",
    file: DeclarationFile = None,
    as_json: AsJson = False,
    values: Annotated[bool, typer.Option("--values", help="Every value with its reason.")] = False,
    diff: Annotated[
        str | None,
        typer.Option(metavar="deployed|FILE", help="Compare with what `up` deployed, or with a declaration."),
    ] = None,
) -> None:
    """Tell what a declaration gives: what runs, its sizes and why, what was traded, what costs most.

    [dim]headrace plan --stack local[/]
    [dim]headrace plan --diff deployed[/]
    [dim]headrace plan --diff ../other/stacks/Pulumi.local.yaml[/]
    [dim]headrace plan --stack local --json | jq .flink[/]
    """
    with reported():
        found = Stack.find(stack, file)
        if diff is not None:
            _show_differences(found, diff, as_json=as_json)
        elif as_json:
            sys.stdout.write(plan_json(found.any_plan) + "\n")
        else:
            console.print(plan_renderable(found.any_plan) if values else document(found.any_plan))


def _show_differences(stack: Stack, before: str, *, as_json: bool) -> None:
    found = plan_differences(stack, before)
    if as_json:
        print_json([asdict(difference) for difference in found])
    else:
        console.print(differences_table(found, before))


@app.command()
def preview(stack: StackName = "local", file: DeclarationFile = None) -> None:
    """Say what `up` would change, compared with what runs now.

    [dim]headrace preview --stack local[/]
    """
    with reported():
        found = Stack.find(stack, file)
        if found.on_aws:
            cloud_preview(found)
            return
        with session(found.files):
            found.engine.select()
            for said in refuse_upgrades(found):
                console.print(escape(said), soft_wrap=True)
            found.engine.preview()


@app.command()
def env(stack: StackName = "local", file: DeclarationFile = None) -> None:
    """Print the variables that plain `pulumi` needs to work on a stack.

    [dim]eval "$(headrace env --stack local)"[/]
    """
    with reported():
        for name, value in Stack.find(stack, file).engine.environment().items():
            sys.stdout.write(f"export {name}={shlex.quote(value)}\n")


@app.command()
def status(stack: StackName = "local", file: DeclarationFile = None, as_json: AsJson = False) -> None:
    """Show a stack's processes, connectors and agents as they are now.

    [dim]headrace status --stack local --json[/]
    """
    with reported():
        found = stack_status(Stack.find(stack, file))
        if as_json:
            sys.stdout.write(json.dumps(found, indent=2) + "\n")
        else:
            console.print(*status_view(found))


@app.command()
def watch(
    stack: StackName = "local",
    file: DeclarationFile = None,
    as_json: AsJson = False,
    from_beginning: Annotated[
        bool, typer.Option(help="Everything that the topics still hold, first.")
    ] = False,
) -> None:
    """Print decisions as they become visible, with the time since the database's commit.

    [dim]headrace watch --stack local[/]
    [dim]headrace watch --from-beginning --json | jq .outcome.status[/]
    """
    with reported():
        found = Stack.find(stack, file).plan
        for decided in follow(found, f"{HOST}:{found.ports.kafka}", from_beginning=from_beginning):
            if decided and as_json:
                line = {
                    "outcome": decided.outcome,
                    "decisions": decided.decisions,
                    "latency_ms": decided.latency_ms,
                }
                print(json.dumps(line), flush=True)
            elif decided:
                console.print(decision_line(decided), soft_wrap=True)
