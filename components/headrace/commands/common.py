"""What all commands share: options, exit codes, where messages go."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from headrace.environment import DeclarationError
from headrace.environment.duration import Duration
from headrace.errors import HeadraceError
from headrace.toolchain import MissingRuntime

DECLARATION_REFUSED = 2
FAILED = 1

# A path or an agent's word may look like an emoji's name.
console = Console(emoji=False)
errors = Console(stderr=True, emoji=False)

StackName = Annotated[str, typer.Option("--stack", "-s", help="Environment: stacks/Pulumi.NAME.yaml.")]
DeclarationFile = Annotated[
    Path | None,
    typer.Option("--file", "-f", help="A declaration elsewhere; its name must be Pulumi.NAME.yaml."),
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON on standard output.")]
AgentName = Annotated[str, typer.Argument(metavar="NAME", help="The agent, as it is declared.")]
Patience = Annotated[
    str | None,
    typer.Option("--timeout", metavar="DURATION", help="How long to wait: 30s, 10m. Worked out otherwise."),
]


def group(help_: str) -> typer.Typer:
    """A sub-app."""
    return typer.Typer(help=help_, no_args_is_help=True, rich_markup_mode="rich")


@contextmanager
def reported() -> Iterator[None]:
    """Errors that are meant for a person, as text and exit code."""
    try:
        yield
    except DeclarationError as error:
        errors.print(f"[red]{escape(str(error))}[/]", soft_wrap=True)
        raise typer.Exit(DECLARATION_REFUSED) from None
    except (HeadraceError, MissingRuntime) as error:
        errors.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        errors.print("interrupted; run the same command again to go on from there")
        raise typer.Exit(130) from None


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def duration_s(text: str, option: str) -> float:
    """Raises HeadraceError for what is no duration."""
    try:
        return Duration.parse(text).seconds
    except ValueError as allowed:
        raise HeadraceError(f"{option}: given {text}; allowed: {allowed}") from None


def since_ms(text: str, option: str) -> int:
    """So long ago, in milliseconds since the epoch. Raises HeadraceError for what is no duration."""
    return round((time.time() - duration_s(text, option)) * 1000)


def moment(ms: int, timespec: str = "seconds") -> str:
    """Of milliseconds since the epoch, in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(sep=" ", timespec=timespec)


def progress() -> Progress:
    """On standard error, and only for people."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)
