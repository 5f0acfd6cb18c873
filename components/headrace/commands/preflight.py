"""`headrace preflight`: whether the sources' databases are ready to be captured, and what mends them."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from headrace.capture.finding import Finding, Report
from headrace.commands.common import (
    FAILED,
    AsJson,
    DeclarationFile,
    StackName,
    console,
    errors,
    print_json,
    reported,
)
from headrace.environment.units import MIB
from headrace.operations.captured_sources import Ways, chosen, look, mend_safely, unseen
from headrace.operations.stack import Stack

STYLES = {"error": "red", "warning": "yellow", "info": "dim"}


def preflight(  # noqa: PLR0913, PLR0917  (each option is an argument)
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[SOURCE...]", help="As declared; all without it.")
    ] = None,
    stack: StackName = "local",
    file: DeclarationFile = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Run what may be run at any time, after showing it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    service: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of libpq's service file: the role that captures, on AWS."),
    ] = None,
    admin_service: Annotated[
        str | None, typer.Option(metavar="NAME", help="The same: a role that may mend, for --fix on AWS.")
    ] = None,
    disk_free: Annotated[
        int | None,
        typer.Option(metavar="MIB", min=0, help="What the server's disk has left, where it is not here."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look whether each source's database is ready to be captured; says causes and the SQL that mends them.

    Fails while there is an error. Passwords come from the stack's own secrets, on AWS from libpq's passfile.

    [dim]headrace preflight --stack local[/]
    [dim]headrace preflight support --json | jq '.[].findings[] | select(.severity == "error")'[/]
    [dim]headrace preflight --fix[/]
    [dim]PGPASSFILE=~/.pgpass headrace preflight support --stack prod --service shop --disk-free 200000[/]
    """
    with reported():
        found = Stack.find(stack, file)
        ways = Ways(service, admin_service, None if disk_free is None else disk_free * MIB)
        sources = chosen(found, names or [])
        reports = list(look(found, sources, ways))
        if fix and any(report.safe_sql for report in reports):
            _ask(reports, ask=not yes)
            mend_safely(found, sources, ways, reports)
            reports = list(look(found, sources, ways))
        reports += [] if names else unseen(found)
        if as_json:
            print_json([report.as_json() for report in reports])
        else:
            _show(reports)
    if any(report.failed for report in reports):
        raise typer.Exit(FAILED)


def _ask(reports: list[Report], *, ask: bool) -> None:
    """On standard error: standard output may be read by a program."""
    for report in reports:
        for statement in report.safe_sql:
            errors.print(f"{report.source}: {statement};", markup=False, soft_wrap=True)
    if ask:
        typer.confirm("Run these statements as an administrator?", abort=True, err=True)


def _show(reports: list[Report]) -> None:
    for report in reports:
        without = "no connection" if report.failed else "not looked at"
        server = f"PostgreSQL {report.server}" if report.server else without
        console.print(f"[bold]{report.source}[/]: {server}, {len(report.passed)} checks passed")
        if report.findings:
            console.print(_table(report))
        for finding in report.findings:
            _explain(finding)


def _table(report: Report) -> Table:
    table = Table()
    for column in ("severity", "check", "found", "mended"):
        table.add_column(column)
    for finding in report.findings:
        style = STYLES[finding.severity]
        table.add_row(
            f"[{style}]{finding.severity}[/]", finding.check, escape(finding.found), _mended(finding)
        )
    return table


def _mended(finding: Finding) -> str:
    if not finding.mend.sql:
        return "by a person"
    return "by --fix" if finding.mend.safe else "by SQL, with care"


def _explain(finding: Finding) -> None:
    console.print(f"[bold]{finding.check}[/]: {escape(finding.consequence)}", soft_wrap=True)
    for statement in finding.mend.sql:
        console.print(f"  {statement};", markup=False, highlight=False, soft_wrap=True)
    if finding.mend.advice:
        console.print(f"  {finding.mend.advice}", markup=False, highlight=False, soft_wrap=True)
