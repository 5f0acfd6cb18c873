"""`headrace memory`: what an agent remembers: read, exported, erased."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.markup import escape
from rich.table import Table

from headrace.commands.agents import carry_out, problems_view
from headrace.commands.common import (
    FAILED,
    AgentName,
    AsJson,
    DeclarationFile,
    Patience,
    StackName,
    console,
    errors,
    group,
    print_json,
    reported,
)
from headrace.errors import HeadraceError
from headrace.operations.agents import find_agent, running_job
from headrace.operations.control import Hearing, new_command
from headrace.operations.erasure import ProvenErasure, prove
from headrace.operations.keys import key_text, parse_key
from headrace.operations.stack import Stack
from headrace_agents.control import ExportedMemory, Report

app = group("Read, export and erase what an agent remembers.")

KeyFields = Annotated[
    list[str], typer.Argument(metavar="FIELD=VALUE...", help="The business key: customer_id=7")
]


@app.command()
def get(
    name: AgentName,
    key: KeyFields,
    stack: StackName = "local",
    file: DeclarationFile = None,
    timeout: Patience = None,
    as_json: AsJson = False,
) -> None:
    """Show what an agent remembers for a key, as of its newest checkpoint. Fails when that is nothing.

    [dim]headrace memory get support-triage customer_id=7[/]
    [dim]headrace memory get support-triage customer_id=7 --json | jq .memory[/]
    """
    with reported():
        found = Stack.find(stack, file)
        agent = find_agent(found.plan, name)
        values = parse_key(agent.spec.key, key)
        memories: list[ExportedMemory] = []
        hearing = carry_out(
            found, agent, new_command("get", values), timeout, lambda report: memories.extend(report.memories)
        )
        _refuse_unreadable(hearing)
        if not memories:
            raise HeadraceError(f"{name} remembers nothing for {key_text(agent.spec.key, values)}. {_TYPES}")
        shown = memory_line(agent.spec.key, memories[0])
        if as_json:
            print_json(shown)
        else:
            console.print_json(data=shown)


@app.command()
def export(
    name: AgentName,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new file; otherwise standard output.")
    ] = None,
    stack: StackName = "local",
    file: DeclarationFile = None,
    timeout: Patience = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs: with --output, the summary as JSON.")
    ] = False,
) -> None:
    """Write every memory of an agent as JSON Lines: key, memory, schema_version, written_at_ms.

    The agent goes on meanwhile: each memory is as it was at one moment, not all at the same.

    [dim]headrace memory export support-triage --output memories.jsonl[/]
    [dim]headrace memory export support-triage | jq .key[/]
    """
    with reported():
        found = Stack.find(stack, file)
        agent = find_agent(found.plan, name)
        running_job(found, agent)
        count = 0
        with _lines_to(output) as lines:

            def write(report: Report) -> None:
                nonlocal count
                for memory in report.memories:
                    line = memory_line(agent.spec.key, memory)
                    lines.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
                    count += 1

            hearing = carry_out(found, agent, new_command("export"), timeout, write)
        if as_json and output is not None:
            print_json(
                {"agent": name, "memories": count, "output": str(output), "problems": _problems(hearing)}
            )
        else:
            where = f" in {output}" if output else ""
            errors.print(f"{name}: {count} memories{where}", soft_wrap=True)
        _refuse_unreadable(hearing)


@app.command()
def erase(
    name: AgentName,
    key: KeyFields,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    stack: StackName = "local",
    file: DeclarationFile = None,
    timeout: Patience = None,
    as_json: AsJson = False,
) -> None:
    """Forget a key: memory, events that wait, steps of runs, reminders; a savepoint proves it.

    What this can't reach is listed, with how long it lives. Events that come later make a new memory.

    [dim]headrace memory erase support-triage customer_id=7[/]
    [dim]headrace memory erase support-triage customer_id=7 --yes --json[/]
    """
    with reported():
        found = Stack.find(stack, file)
        agent = find_agent(found.plan, name)
        values = parse_key(agent.spec.key, key)
        text = key_text(agent.spec.key, values)
        running_job(found, agent)
        if not yes:
            typer.confirm(f"Erase all that {name} has for {text}? It can't be undone", abort=True, err=True)
        hearing = carry_out(found, agent, new_command("erase", values), timeout)
        with errors.status("a savepoint without it") if errors.is_terminal else _nothing():
            proven = prove(found, agent)
        if as_json:
            print_json(
                {
                    "agent": name,
                    "key": dict(zip(agent.spec.key, values, strict=True)),
                    **hearing.as_json(),
                    **proven.as_json(),
                }
            )
        else:
            console.print(f"{name}: {erased_text(hearing, text)}", soft_wrap=True, markup=False)
            console.print(f"savepoint without it: {proven.savepoint}", soft_wrap=True)
            console.print(_remains_view(proven))
        _refuse_unreadable(hearing)


def memory_line(fields: tuple[str, ...], memory: ExportedMemory) -> dict[str, Any]:
    return {
        "key": dict(zip(fields, memory.key, strict=True)),
        "memory": memory.memory,
        "schema_version": memory.schema_version,
        "written_at_ms": memory.written_at_ms,
    }


def erased_text(hearing: Hearing, key: str) -> str:
    found = {what: count for what, count in sorted(hearing.counts.items()) if what != "unreadable"}
    if not found:
        return f"there was nothing for {key}. {_TYPES}"
    return f"erased for {key}: " + ", ".join(f"{count} {what}" for what, count in found.items())


_TYPES = 'Values are compared as JSON: the number 7 is not the text "7", which is written FIELD=\'"7"\''


def _remains_view(proven: ProvenErasure) -> Table:
    table = Table(
        "what", "where", "until", title="Not reached; it may still hold the key", title_justify="left"
    )
    for each in proven.remains:
        table.add_row(each.what, escape(each.where), each.until)
    return table


def _problems(hearing: Hearing) -> list[dict[str, Any]]:
    return [problem.model_dump() for problem in hearing.problems]


def _refuse_unreadable(hearing: Hearing) -> None:
    if hearing.problems:
        errors.print(problems_view(hearing))
        raise typer.Exit(FAILED)


@contextmanager
def _lines_to(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    try:
        made = output.open("x", encoding="utf-8")
    except OSError as error:
        raise HeadraceError(f"--output: {output} can't be made: {error.strerror}; name a new file") from error
    with made:
        yield made


@contextmanager
def _nothing() -> Iterator[None]:
    yield
