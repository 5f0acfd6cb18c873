"""Runs the statements that mend a source, as an administrator."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

from headrace.capture.preflight import Access
from headrace.errors import HeadraceError

LOCK_TIMEOUT_MS = 2_000
"""A statement that waits for a lock makes everybody behind it wait, so it gives up soon."""


def mend(administrator: Access, statements: Iterable[str]) -> None:
    """Run `statements` in their order, each in a transaction of its own.

    Raises:
        HeadraceError: one of them failed; says which, why, and what was run before it.
    """
    done: list[str] = []
    try:
        with administrator.open(options=f"-c lock_timeout={LOCK_TIMEOUT_MS}") as connection:
            for statement in statements:
                try:
                    connection.execute(statement)
                except psycopg.Error as error:
                    before = "; ".join(done) or "nothing"
                    raise HeadraceError(
                        f"{statement}: {str(error).strip()}. Run before it: {before}"
                    ) from None
                done.append(statement)
    except psycopg.OperationalError as error:
        raise HeadraceError(
            f"the administrator's connection: {str(error).strip()}; nothing was changed"
        ) from None
