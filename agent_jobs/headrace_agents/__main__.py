"""``headrace-agents``: what is asked of an agent's own environment.

A subcommand is a function that adds its arguments to a parser and returns what runs; it stands in
:data:`COMMANDS`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path

from headrace_agents.agent import AgentError
from headrace_agents.code import NoPackageError
from headrace_agents.describing import agents_of, manifests_of
from headrace_agents.upgrade_command import upgrade
from headrace_agents.verify_command import verify

Run = Callable[[argparse.Namespace], int]
"""Does what the arguments say; returns the exit status."""


def manifest(parser: argparse.ArgumentParser) -> Run:
    """write what versions of agents are: operators, memory, steps, prompts"""
    parser.add_argument("--entry-point", action="append", default=[], metavar="PACKAGE.MODULE:CLASS")
    parser.add_argument("--package", action="append", default=[], help="every agent that it defines")
    parser.add_argument("--out", type=Path, help="the file; left out, standard output")

    def run(given: argparse.Namespace) -> int:
        with redirect_stdout(sys.stderr):  # agents' modules may print
            found = [each for package in given.package for each in agents_of(package)]
            written = manifests_of([*given.entry_point, *found]).canonical() + "\n"
        if given.out is None:
            sys.stdout.write(written)
        else:
            given.out.write_text(written, encoding="utf-8")
        return 0

    return run


COMMANDS: Mapping[str, Callable[[argparse.ArgumentParser], Run]] = {
    "manifest": manifest,
    "upgrade": upgrade,
    "verify": verify,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="headrace-agents")
    chosen = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        below = chosen.add_parser(name, help=command.__doc__)
        below.set_defaults(run=command(below))
    given = parser.parse_args(arguments)
    try:
        status: int = given.run(given)
    except (AgentError, NoPackageError, OSError) as error:
        parser.exit(1, f"headrace-agents: {error}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
