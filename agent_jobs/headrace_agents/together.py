"""Coroutines side by side: all end well, or the first failure is raised and the others are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

R = TypeVar("R")


async def together(coroutines: Sequence[Coroutine[Any, Any, R]]) -> list[R]:
    """What they return, in their order, which is also the one in which they start."""
    if len(coroutines) == 1:
        return [await coroutines[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as raised:
        # What is no Exception is not for the agent's own code: it goes before.
        serious = (each for each in raised.exceptions if not isinstance(each, Exception))
        first = next(serious, raised.exceptions[0])
        raise first from first.__cause__
    return [task.result() for task in tasks]
