"""`make bench-check`: the newest figures against their limits; exit code 1 if one is missed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench import machine

Figures = dict[str, Any]


@dataclass(frozen=True)
class Limit:
    what: str
    benchmark: str
    figure: Callable[[Figures], float | None]
    at_most: Callable[[Figures], float]
    unit: str


def _added(delivery: str) -> Callable[[Figures], float]:
    return lambda found: float(found["latency_ms"][delivery]["added"]["p50"]["median"])


def _seconds(case: str, name: str) -> Callable[[Figures], float | None]:
    return lambda found: found["seconds"].get(case, {}).get(name)


def _first_decision(case: str) -> Callable[[Figures], float | None]:
    return _seconds(case, "to_first_decision")


LIMITS = (
    Limit(
        "added to the model's time, at-least-once, p50",
        "latency",
        _added("at-least-once"),
        lambda _: 200,
        "ms",
    ),
    Limit(
        "added to the model's time, exactly-once, p50: one checkpoint interval more",
        "latency",
        _added("exactly-once"),
        lambda found: 200 + found["checkpoint_interval_ms"],
        "ms",
    ),
    Limit("fresh clone to first decision, with a CLI", "up", _first_decision("with-cli"), lambda _: 180, "s"),
    Limit(
        "fresh clone to first decision, without a CLI",
        "up",
        _first_decision("without-cli"),
        lambda _: 600,
        "s",
    ),
    Limit("second `make up`", "up", _seconds("with-cli", "second_up"), lambda _: 30, "s"),
)


def main() -> int:
    table = Table(title="Newest figures against their limits", title_justify="left")
    for column in ("figure", "measured", "limit", "on", ""):
        table.add_column(column)
    missed = 0
    for limit in LIMITS:
        found = machine.newest(limit.benchmark)
        measured = limit.figure(found) if found else None
        if found is None or measured is None:
            table.add_row(limit.what, "not measured", "", "", "[yellow]?[/]")
            missed += 1
            continue
        allowed = limit.at_most(found)
        held = measured <= allowed
        missed += not held
        verdict = "[green]holds[/]" if held else "[red]missed[/]"
        on = f"{found['machine']['cores']} cores, {found['machine']['at']}"
        table.add_row(limit.what, f"{measured:.0f} {limit.unit}", f"{allowed:.0f} {limit.unit}", on, verdict)
    Console().print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
