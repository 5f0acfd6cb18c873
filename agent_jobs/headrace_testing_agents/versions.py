"""Versions of the chronicle that upgrades are tried with: good ones, and bad ones of each kind."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field

from headrace_agents import Agent, Change, Message, migrates, on
from headrace_testing_agents.agents import (
    TICKETS,
    Chronicle,
    ChronicleContext,
    Chronicled,
    ChronicleSettings,
    Noted,
    Reminded,
    Ticket,
)
from headrace_testing_agents.replaying import UNREADABLE

CALLS = 10
DOUBTED_OF = 20


class Reworded(Chronicle):
    """Other code that does the same."""


class Extended(Chronicled):
    labels: list[str] = Field(default_factory=list)


class WithField(Chronicle, Agent[Extended, Noted | Reminded, ChronicleSettings]):
    """A new field of memory, with a default."""


class Migrating(Chronicle, Agent[Extended, Noted | Reminded, ChronicleSettings]):
    """A new field that a migration fills."""

    memory_version = 2

    @migrates(1)
    @staticmethod
    def labelled(memory: dict[str, Any]) -> dict[str, Any]:
        return memory | {"labels": [f"{memory['events']} events"]}


class CannotGoOn(Migrating):
    """A migration that fails on some memories, which no schema tells."""

    memory_version = 3

    @migrates(2)
    @staticmethod
    def relabelled(memory: dict[str, Any]) -> dict[str, Any]:
        if memory["last"] == UNREADABLE:
            raise ValueError("no such label")
        return memory


class MigratedReworded(Migrating):
    """Other code that does the same, with memory as it is after the migration."""


class Raising(Migrating):
    """Every event becomes a dead letter."""

    @on(TICKETS)
    async def changed(self, ctx: ChronicleContext, change: Change[Ticket]) -> None:  # noqa: ARG002
        raise RuntimeError(f"cannot decide ticket {change.row.id}")


class Costly(Migrating):
    """Asks ten times where once was enough. The first time is as before: what it decided can be read back."""

    @on(TICKETS)
    async def changed(self, ctx: ChronicleContext, change: Change[Ticket]) -> None:
        await super().changed(ctx, change)
        for number in range(1, CALLS):
            await ctx.model([Message("user", f"Once more, number {number}: {change.row.body}")])


class Counted(Extended):
    events: list[str] = Field(default_factory=list)  # type: ignore[assignment]  # another type


class Retyped(Migrating, Agent[Counted, Noted | Reminded, ChronicleSettings]):
    """A field of another type, and no migration to it."""


class Doubts(ChronicleSettings):
    doubted: int = Field(default=0, ge=0)
    """Of each :data:`DOUBTED_OF` tickets."""


class Doubtful(Migrating, Agent[Extended, Noted | Reminded, Doubts]):
    """Of a share of all tickets it makes dead letters: none before its setting says so."""

    times = 1

    @on(TICKETS)
    async def changed(self, ctx: ChronicleContext, change: Change[Ticket]) -> None:
        settings = self.settings
        if not isinstance(settings, Doubts):
            raise TypeError(f"{settings} are another agent's")
        if change.row.id % DOUBTED_OF < settings.doubted * self.times:
            raise RuntimeError(f"doubts ticket {change.row.id}")
        await super().changed(ctx, change)


class MoreDoubtful(Doubtful):
    """Of twice that share."""

    times = 2


class NeverCheckpointing(Migrating):
    """Looks for a pattern that takes for ever; Python's own search lets no other thread of the worker run
    meanwhile, so no checkpoint goes through it."""

    @on(TICKETS)
    async def changed(self, ctx: ChronicleContext, change: Change[Ticket]) -> None:
        re.fullmatch("(a+)+b", "a" * 64)
        await super().changed(ctx, change)
