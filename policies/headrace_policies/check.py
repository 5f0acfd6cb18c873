"""Checks a saved state without an engine: ``python -m headrace_policies.check STATE.json --config C.json``.

Exit status 0: nothing mandatory was found; 1: something was; 2: it could not be judged (a file is wrong).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast, get_args

from headrace_policies import reports
from headrace_policies.catalogue import RULES
from headrace_policies.judging import judge
from headrace_policies.reports import Judged, Level
from headrace_policies.rule import Rule
from headrace_policies.saved_state import stack
from headrace_policies.stacks import Stack

PASSED, FOUND, WRONG = 0, 1, 2
ALL = "all"


def check(judged: Stack, config: Mapping[str, Any], today: date) -> list[Judged]:
    """Every rule that is not disabled, by a configuration as the engine takes it.

    Raises:
        ValueError: the configuration names a rule or a level that there is not, or a bad exception.
    """
    unknown = config.keys() - {ALL, "HR-EXCEPTIONS"} - {rule.id for rule in RULES}
    if unknown:
        raise ValueError(f"no such rule: {', '.join(sorted(unknown))}")
    levels = [(rule, _level(rule, config)) for rule in RULES]
    return [
        Judged(rule, level, tuple(judge(rule, judged, _properties(rule, config), today)))
        for rule, level in levels
        if level != "disabled"
    ]


def _level(rule: Rule, config: Mapping[str, Any]) -> Level:
    own = config.get(rule.id)
    declared = own.get("enforcementLevel") if isinstance(own, Mapping) else own
    level = declared or config.get(ALL) or ("advisory" if rule.advisory else "mandatory")
    # A saved state can't be remediated; the engine makes `remediate` mandatory there too.
    level = "mandatory" if level == "remediate" else level
    if level not in get_args(Level):
        raise ValueError(f"{rule.id}: level is one of {', '.join(get_args(Level))}, not {level!r}")
    return cast(Level, level)


def _properties(rule: Rule, config: Mapping[str, Any]) -> Mapping[str, Any]:
    own = config.get(rule.id)
    return own if isinstance(own, Mapping) else {}


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    try:
        config = json.loads(given.config.read_text()) if given.config else {}
        resources = stack(json.loads(given.state.read_text()))
        judged = check(resources, config, datetime.now(UTC).date())
    except (OSError, ValueError) as error:
        print(f"{given.state}: {error}", file=sys.stderr)
        return WRONG
    print(reports.text(judged))
    if given.sarif:
        given.sarif.write_text(reports.sarif(judged, given.state.name))
    if given.junit:
        given.junit.write_text(reports.junit(judged))
    return FOUND if any(one.stopping for one in judged) else PASSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m headrace_policies.check",
        description="Judge the saved state of a stack.",
        epilog="example: pulumi stack export --file state.json && "
        "python -m headrace_policies.check state.json --config policies/environments/prod.json",
    )
    parser.add_argument("state", type=Path, help="what `pulumi stack export` wrote")
    parser.add_argument("--config", type=Path, help="configuration of the pack, as for --policy-pack-config")
    parser.add_argument("--sarif", type=Path, help="write a SARIF 2.1.0 report here")
    parser.add_argument("--junit", type=Path, help="write a JUnit report here")
    return parser


if __name__ == "__main__":
    sys.exit(main())
