"""How ``headrace plan`` shows a plan: tables of values with their reasons, or JSON."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from headrace.plan.leaves import Leaf, leaves
from headrace.plan.model import CommonPlan


def plan_json(plan: CommonPlan) -> str:
    """The plan for programs: its fields as they are, and ``reasons`` by dotted path."""
    return plan.model_dump_json(indent=2)


def plan_renderable(plan: CommonPlan) -> RenderableType:
    """The plan for people: one table for each part of the stack, one row for each value."""
    titles = _titles(plan)
    sections = groupby(leaves(plan), key=lambda leaf: _section(leaf.path))
    return Group(*(_table(titles.get(section, section), section, list(rows)) for section, rows in sections))


def _section(path: str) -> str:
    """``agents[0]`` of ``agents[0].spec.name``; plain fields of the stack share one section."""
    first, below, _rest = path.partition(".")
    return first if below else "stack"


def _titles(plan: CommonPlan) -> dict[str, str]:
    titles = {"stack": f"environment {plan.environment}"}
    for field in ("sources", "topics", "agents"):
        for at, part in enumerate(getattr(plan, field)):
            titles[f"{field}[{at}]"] = f"{field}[{at}]: {part.name}"
    return titles


def _table(title: str, section: str, rows: list[Leaf]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", expand=True, pad_edge=False)
    table.add_column("value of", ratio=3, overflow="fold")
    table.add_column("value", ratio=3, overflow="fold", style="cyan")
    table.add_column("because", ratio=5, style="dim")
    for leaf in rows:
        table.add_row(
            Text(leaf.path.removeprefix(f"{section}.")), Text(_shown(leaf.value)), Text(leaf.reason)
        )
    return table


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value) or "none"
    return str(value) if value not in ("", {}) else "(empty)"
