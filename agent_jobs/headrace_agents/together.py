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
    except ExceptionGroup as raised:
        first = raised.exceptions[0]
        raise first from first.__cause__
    return [task.result() for task in tasks]
