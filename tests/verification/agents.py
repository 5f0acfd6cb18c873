"""An agent in versions: what one of them remembered, the others can read or can't."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from headrace_agents import Agent, Change, Context, Reminder, migrates, on, on_reminder

TABLE = "public.things"
THINGS = 20
"""Numbered from 0."""
FIRST, NEXT, WITHOUT_MIGRATION, OTHER_ROWS = (
    f"tests.verification.agents:{name}" for name in ("First", "Next", "WithoutMigration", "OtherRows")
)


class Thing(BaseModel):
    id: int


class Text(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str = ""


class Lines(BaseModel):
    model_config = ConfigDict(extra="forbid")

    lines: list[str] = []


class Seen(BaseModel):
    thing: int


class Later(BaseModel):
    thing: int


class Settings(BaseModel):
    folder: str = "/"
    """For a file of each thing that was remembered."""


async def half() -> int:
    return 1


class First(Agent[Text, Seen, Settings]):
    """Thing 0 is begun and never ends: its events stay in the inbox, with the step of the first."""

    @on(TABLE)
    async def seen(self, ctx: Context[Any, Any], change: Change[Thing]) -> None:
        thing = change.row.id
        if thing == 0:
            await ctx.step("half", half)
            self._tell(thing)
            await asyncio.sleep(3600)
        ctx.memory.text = f"thing {thing}"
        ctx.remind(timedelta(hours=1), Later(thing=thing))
        self._tell(thing)

    @on_reminder
    async def later(self, ctx: Context[Any, Any], reminder: Reminder[Later]) -> None: ...

    def _tell(self, thing: int) -> None:
        Path(self.settings.folder, str(thing)).touch()


class Next(Agent[Lines, Seen, Settings]):
    memory_version = 2

    @on(TABLE)
    async def seen(self, ctx: Context[Any, Any], change: Change[Thing]) -> None: ...

    @on_reminder
    async def later(self, ctx: Context[Any, Any], reminder: Reminder[Later]) -> None: ...

    @staticmethod
    @migrates(1)
    def _lines(memory: dict[str, Any]) -> dict[str, Any]:
        return {"lines": memory["text"].splitlines()}


class WithoutMigration(Agent[Lines, Seen, Settings]):
    @on(TABLE)
    async def seen(self, ctx: Context[Any, Any], change: Change[Thing]) -> None: ...

    @on_reminder
    async def later(self, ctx: Context[Any, Any], reminder: Reminder[Later]) -> None: ...


class OtherThing(BaseModel):
    id: str
    name: str


class OtherRows(Agent[Text, Seen, Settings]):
    """Takes rows that there were none of, and no reminders any more."""

    @on(TABLE)
    async def seen(self, ctx: Context[Any, Any], change: Change[OtherThing]) -> None: ...
