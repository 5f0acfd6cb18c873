"""Figures of one scenario as a table for people."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from headrace.environment.units import MIB
from tests.bench.agents.contestants import title

Figures = dict[str, Any]


def table(figures: Figures) -> Table:
    made = Table(title=f"{figures['scenario']}: {figures['load']['title']}", title_justify="left")
    head, rows = cells(figures)
    for place, column in enumerate(head):
        made.add_column(column, justify="right" if place else "left")
    for row in rows:
        made.add_row(*row)
    return made


def cells(figures: Figures) -> tuple[list[str], list[list[str]]]:
    """Head and rows."""
    programs = figures["programs"]
    if "limit_per_second" in figures["load"]:
        return _throughput(figures)
    if all("planned_bytes" in found for found in programs.values()):
        return _state(programs)
    if all("added_ms" in found for found in programs.values()):
        head = ["ms", "in p50", "in p99", "out p50", "out p99", "added p50", "added p99"]
        names = ("in_ms", "out_ms", "added_ms")
        rows = [
            [title(program), *(_cell(found[name][q]) for name in names for q in ("p50", "p99"))]
            for program, found in programs.items()
        ]
        return head, rows
    head = ["checkpoint duration, ms", "completed", "p50", "p99", "max", "calls in flight"]
    rows = [
        [
            title(program),
            _cell(found["completed"]),
            *(_cell(found["checkpoint_ms"][q]) for q in ("p50", "p99", "max")),
            f"{found['calls_in_flight']['least']}-{found['calls_in_flight']['most']}",
        ]
        for program, found in programs.items()
    ]
    return head, rows


def _throughput(figures: Figures) -> tuple[list[str], list[list[str]]]:
    limit = figures["load"]["limit_per_second"]
    head = ["", "decisions/s", "of the limit", "checkpoint p50, ms", "cores used"]
    rows = []
    for program, found in figures["programs"].items():
        rate, duration = found["per_second"], found["checkpoint_ms"]
        share = f"{rate['median'] / limit:.0%}" if limit else "-"
        used = ", ".join(f"{name} {share:.2f}" for name, share in found["cores"].items() if share >= 0.05)
        rows.append([title(program), _cell(rate), share, _cell(duration["p50"]) if duration else "-", used])
    if limit:
        rows.append(["the arithmetic limit, in flight / latency", f"{limit:.0f}", "100%", "-", "-"])
    return head, rows


def _state(programs: Figures) -> tuple[list[str], list[list[str]]]:
    head = ["MiB", "planned", "in a checkpoint", "of the plan", "in a savepoint", "of the plan"]
    rows = [
        [
            title(program),
            f"{found['planned_bytes']['median'] / MIB:.0f}",
            f"{found['checkpoint_bytes']['median'] / MIB:.0f}",
            f"{found['checkpoint_to_planned']['median']:.0%}",
            f"{found['savepoint_bytes']['median'] / MIB:.0f}",
            f"{found['savepoint_to_planned']['median']:.0%}",
        ]
        for program, found in programs.items()
    ]
    return head, rows


def _cell(value: dict[str, float]) -> str:
    if value["runs"] == 1:
        return f"{value['median']:.0f}"
    return f"{value['median']:.0f} ({value['min']:.0f}-{value['max']:.0f})"
