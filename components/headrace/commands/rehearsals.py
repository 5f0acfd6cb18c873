"""`headrace agents replay`: recorded events through another version of an agent, before it is trusted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from headrace.commands.common import (
    AgentName,
    AsJson,
    DeclarationFile,
    StackName,
    console,
    errors,
    print_json,
    progress,
    reported,
    since_ms,
)
from headrace.errors import HeadraceError
from headrace.local.agent import complete
from headrace.operations.agent_settings import history, in_force, parse_changes, patches
from headrace.operations.agents import find_agent
from headrace.operations.dead_letters import where
from headrace.operations.rehearsals import (
    Comparison,
    Difference,
    Totals,
    Version,
    compare,
    recorded,
    rehearsed,
)
from headrace.operations.stack import Stack
from headrace_agents.configuration import merged
from headrace_agents.rehearsal_job import Rehearsed
from headrace_agents.spec import AgentJobSpec

SHOWN_CHARS = 400


def replay(  # noqa: PLR0913, PLR0917 (each option is an argument)
    name: AgentName,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="A setting or, by FIELD=@FILE, a prompt."),
    ] = None,
    version: Annotated[
        int | None,
        typer.Option("--version", help="A version of its settings, from `history`; 0: as declared."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Another model at the endpoint.")] = None,
    endpoint: Annotated[str | None, typer.Option("--endpoint", help="Another endpoint.")] = None,
    key_file: Annotated[
        Path | None,
        typer.Option("--api-key-file", help="Of --endpoint: the declared key goes to no other."),
    ] = None,
    code: Annotated[
        Path | None,
        typer.Option("--code", metavar="FOLDER", help="Another `agent_jobs` folder, with its packages."),
    ] = None,
    topics: Annotated[
        list[str] | None, typer.Option("--from", metavar="TOPIC", help="Only events of this topic.")
    ] = None,
    last: Annotated[
        str, typer.Option("--last", metavar="DURATION", help="Events of the last 30m, 1h.")
    ] = "1h",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The newest events, that many.")] = 200,
    run_tools: Annotated[
        bool, typer.Option("--run-tools", help="Call tools: say so only where none has an effect outside.")
    ] = False,
    show: Annotated[int, typer.Option("--show", min=0, help="Differences that are printed.")] = 10,
    stack: StackName = "local",
    file: DeclarationFile = None,
    as_json: AsJson = False,
) -> None:
    """Run recorded events through the agent as it is and through another version; show what differs.

    Nothing is written, and the running agent is not touched. Both start with empty memory, on this machine,
    and both ask their model, with a quarter of its limits a minute: that costs what is shown, which is not in
    `headrace costs`, and budgets do not hold. Steps are not made: an agent's `rehearse` says what
    one would give, else its run is cut off there; tools are called with --run-tools alone.

    [dim]headrace agents replay support-triage --set task=@triage.txt --last 1h[/]
    [dim]headrace agents replay order-risk --model a-cheaper-one --run-tools --limit 50 --json[/]
    """
    with reported():
        found = Stack.find(stack, file)
        agent = find_agent(found.plan, name)
        spec = complete(agent, found.files)
        if not any((changes, version is not None, model, endpoint, code)):
            raise HeadraceError("say what is new: --set, --version, --model, --endpoint or --code")
        patch, base = _patches(spec, version)
        other = _other(spec, model, endpoint, key_file)
        versions = (
            Version(spec, patch),
            Version(other, merged(base, parse_changes(changes or [])), code),
        )
        events = recorded(spec, topics or [], since_ms(last, "--last"), limit)
        python = found.engine.runtimes.agents_python
        with progress() as bar:
            both: list[dict[Any, Rehearsed]] = []
            for said, each in zip(("as it is", "the other"), versions, strict=True):
                shown = bar.add_task(said, total=len(events))
                both.append(
                    rehearsed(
                        python,
                        each,
                        events,
                        run_tools=run_tools,
                        heard=lambda task=shown: bar.advance(task),  # type: ignore[misc]
                    )
                )
        comparison = compare(*both)
        if as_json:
            print_json(_json(name, comparison))
            return
        _print(name, comparison, comparison.differences[:show])


def _patches(spec: AgentJobSpec, version: int | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of the settings in force, and of a version of them."""
    versions = history(spec)
    now = in_force(versions)
    patch = {} if now is None else now.change.patch
    if version is None:
        return patch, patch
    known = patches(versions)
    if version not in known:
        raise HeadraceError(f"--version: given {version}; allowed: {', '.join(map(str, known))}")
    return patch, known[version]


def _other(
    spec: AgentJobSpec, model: str | None, endpoint: str | None, key_file: Path | None
) -> AgentJobSpec:
    """The declared endpoint's key goes to no other, and no fallback answers in its place."""
    if model is None and endpoint is None:
        return spec
    if spec.model is None:
        raise HeadraceError(f"agent {spec.name} has no model: --model and --endpoint are for one that has")
    given: dict[str, Any] = {"fallbacks": ()} if model is None else {"fallbacks": (), "name": model}
    if endpoint is not None:
        given |= {"endpoint": endpoint, "api_key_file": None if key_file is None else str(key_file)}
    return spec.model_copy(update={"model": spec.model.model_copy(update=given)})


def _json(name: str, found: Comparison) -> dict[str, Any]:
    return {
        "agent": name,
        "events": found.events,
        "same": found.same,
        "different": len(found.differences),
        "differences": [each.as_json() for each in found.differences],
        "now": vars(found.now),
        "new": vars(found.new),
        "cut_off_at": list(found.cut_off_at),
    }


def _print(name: str, found: Comparison, shown: Sequence[Difference]) -> None:
    for each in shown:
        console.print(_difference(each))
    if len(shown) < len(found.differences):
        errors.print(f"{len(shown)} of {len(found.differences)} differences; --show prints more")
    console.print(_totals(name, found))
    whole = found.same + len(found.differences)
    console.print(f"{len(found.differences)} of {whole} events are decided differently")
    if found.cut_off_at:
        errors.print(
            f"[yellow]{found.events - whole} were cut off[/] at {escape(', '.join(found.cut_off_at))}: "
            "tools are called with --run-tools; of a step the agent's `rehearse` says what it would give"
        )


def _totals(name: str, found: Comparison) -> Table:
    table = Table(title=f"{name}: {found.events} events", title_justify="left")
    table.add_column("")
    for column in ("as it is", "the other"):
        table.add_column(column, justify="right")
    both: tuple[Totals, Totals] = found.now, found.new
    for row in ("decided", "dead_lettered", "cut_off", "calls", "tokens"):
        table.add_row(row.replace("_", " "), *(f"{getattr(each, row):,}" for each in both))
    table.add_row("usd", *(f"{each.usd:.6f}" for each in both))
    for label, row in (("p50 ms", "p50_ms"), ("p99 ms", "p99_ms")):
        figures = (getattr(each, row) for each in both)
        table.add_row(label, *("-" if figure is None else f"{figure:.0f}" for figure in figures))
    return table


def _difference(each: Difference) -> Table:
    title = where(each.now.position)
    table = Table("as it is", "the other", title=title, title_justify="left", show_lines=True)
    table.add_row(*(escape(_said(one)[:SHOWN_CHARS]) for one in (each.now, each.new)))
    return table


def _said(one: Rehearsed) -> str:
    if one.status != "decided":
        return f"{one.status.replace('_', ' ')}: {one.detail}"
    lines = [f"{d.kind} {json.dumps(d.decision, ensure_ascii=False)}" for d in one.decisions]
    return "\n".join(lines) or "no decision"
