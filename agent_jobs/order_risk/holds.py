"""Orders that wait for a person: a file each, in a folder that stands for the shop's own system."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel


class Hold(BaseModel):
    """An order that does not go out until somebody has looked at it."""

    id: str
    order_id: int
    reason: str


async def place_hold(
    folder: Path | None, order_id: int, reason: str, *, idempotency_key: str | None = None
) -> Hold:
    """Places a hold once for every ``idempotency_key``: the one that is there already is given back.

    Without a folder nothing is written. Raises OSError where the folder can't be written to.
    """
    key = idempotency_key or uuid4().hex
    hold = Hold(id=key, order_id=order_id, reason=reason)
    if folder is None:
        return hold
    return await asyncio.to_thread(_written_once, folder / f"{key}.json", hold)


def _written_once(file: Path, hold: Hold) -> Hold:
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{uuid4().hex}.new")
    new.write_text(hold.model_dump_json())
    try:
        file.hardlink_to(new)
    except FileExistsError:
        return Hold.model_validate_json(file.read_text())
    finally:
        new.unlink(missing_ok=True)
    return hold
