"""Upgrades of a stack's agents, as they were written down."""

from __future__ import annotations

from typing import Any

from headrace.errors import HeadraceError
from headrace.operations.stack import Stack
from headrace.upgrades.record import FolderHistory, Upgrade


def upgrades(stack: Stack, agent: str | None = None) -> list[Upgrade]:
    """Of one agent or of all, agents that are gone among them; the newest first."""
    folder = stack.files.upgrades("*").parent
    names = [agent] if agent else [each.name for each in folder.iterdir()] if folder.exists() else []
    found = [each for name in names for each in FolderHistory(stack.files.upgrades(name)).all()]
    return sorted(found, key=lambda each: each.started_at_ms, reverse=True)


def upgrade(stack: Stack, id_: str) -> Upgrade:
    """Of that id, or the newest of the agent of that name.

    Raises:
        HeadraceError: there is none.
    """
    found = upgrades(stack)
    for each in found:
        if id_ in (each.id, each.agent):
            return each
    known = ", ".join(each.id for each in found[:5]) or "none was made yet"
    raise HeadraceError(f"no upgrade {id_}; the newest: {known}")


def shown(found: Upgrade) -> dict[str, Any]:
    """As JSON, without what the versions' jobs are made of."""
    return found.model_dump(mode="json", exclude={"before": {"inputs"}, "after": {"inputs"}})
