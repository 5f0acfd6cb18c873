"""SQL that is shown and run: names and texts are quoted by PostgreSQL's rules."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from headrace.capture.finding import Mend
from headrace.capture.look import Look


def statement(template: str, *parts: sql.Composable) -> str:
    """`template` with its ``{}`` filled in."""
    return sql.SQL(template).format(*parts).as_string(None)


def name(dotted: str) -> sql.Identifier:
    """Of a table with its schema, or of anything else."""
    return sql.Identifier(*dotted.split("."))


def names(dotted: Sequence[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(name, dotted))


def slot_drop(slot: str) -> str:
    """Drops a replication slot, which nobody may read then."""
    return statement("SELECT pg_drop_replication_slot({})", sql.Literal(slot))


def setting(look: Look, parameter: str, value: str, *, restart: bool, safe: bool = True) -> Mend:
    """Sets a parameter of the server.

    Args:
        look: says whose server it is: Amazon's are set by a parameter group, where there is no ALTER SYSTEM.
        parameter: its name.
        value: with its unit.
        restart: whether it holds from the next start of the server on; then it is never safe.
        safe: whether it may be set at any time otherwise.
    """
    if look.on_amazon:
        again = ", and restart the server" if restart else ""
        return Mend(advice=f"set {parameter} to {value} in the server's parameter group{again}")
    change = statement("ALTER SYSTEM SET {} = {}", sql.SQL(parameter), sql.Literal(value))
    if restart:
        return Mend((change,), advice="restart the server afterwards")
    return Mend((change, "SELECT pg_reload_conf()"), safe)
