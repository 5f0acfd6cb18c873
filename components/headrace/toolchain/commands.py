"""The command line: setup, setup-tests, check, lock."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict

from . import places, requirements
from .console import Console, StepFailed
from .installation import MissingRequirements, Summary, setup, setup_tests
from .locking import write_locks
from .runtimes import MissingRuntime

INTERRUPTED = 130
"""Exit status, as a shell gives it after SIGINT."""


def main(argv: Sequence[str]) -> int:
    """Run one command; the exit status is 0, 1 after an error that was told, or 130 after an interrupt."""
    options = _parser().parse_args(argv)
    # A terminated setup ends its children and its half-made folders like an interrupted one.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(sys.stderr, places.cache() / "logs")
    try:
        _run(options, console)
    except (MissingRequirements, MissingRuntime, StepFailed) as error:
        console.say(f"{console.paint('headrace', 31)}: {error}")
        return 1
    except KeyboardInterrupt:
        console.say("headrace: interrupted; run the same command again to go on")
        return INTERRUPTED
    return 0


def _run(options: argparse.Namespace, console: Console) -> None:
    if options.command == "setup":
        _report(setup(console), console, as_json=options.json)
    elif options.command == "setup-tests":
        setup_tests(console)
        console.say("What tests need is there.")
    elif options.command == "check":
        if lacks := requirements.missing(requirements.Needs(maven=True, go=True)):
            raise MissingRequirements(requirements.explain(lacks))
        console.say("This machine has everything that setup needs.")
    else:
        with console.ticking():
            write_locks(console, upgrade=options.upgrade)


def _report(summary: Summary, console: Console, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(asdict(summary), default=str, indent=2) + "\n")
    elif summary.steps:
        console.say(
            f"{console.paint('Set up', 32)} in {summary.seconds:.0f} s; runtimes in {summary.runtimes}"
        )
    else:
        console.say(f"Everything is set up already ({summary.seconds:.1f} s).")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 components/headrace/toolchain",
        description="Bring a machine to what this checkout needs.",
        epilog=f"Everything outside the checkout goes to {places.cache()} (HEADRACE_CACHE changes it).",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("setup", help="make both environments, the runtimes and a Pulumi CLI")
    make.add_argument("--json", action="store_true", help="print a summary as JSON on standard output")
    commands.add_parser("setup-tests", help="build what tests alone need: a Kubernetes API server")
    commands.add_parser("check", help="say what this machine lacks; change nothing")
    lock = commands.add_parser("lock", help="write locks/ and the checksums of the runtimes anew")
    lock.add_argument("--upgrade", action="store_true", help="take newer versions where they fit")
    return parser
