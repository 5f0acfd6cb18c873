"""Checks of the capturing role, and of the connection it reads changes by."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from headrace.capture.finding import Flaw, Mend
from headrace.capture.look import Look
from headrace.capture.statements import name, statement

AMAZONS_RIGHT = "rds_replication"


def replication_right(look: Look) -> Iterator[Flaw]:
    """The role may replicate: has REPLICATION, or on Amazon's servers is a member of `rds_replication`"""
    superuser, attribute = look.rows(
        "SELECT rolsuper, rolreplication FROM pg_roles WHERE rolname = current_user"
    )[0]
    if superuser or (_has_amazons_right(look) if look.on_amazon else attribute):
        return
    role = name(look.role)
    grant = (
        statement("GRANT {} TO {}", name(AMAZONS_RIGHT), role)
        if look.on_amazon
        else statement("ALTER ROLE {} REPLICATION", role)
    )
    yield Flaw(
        "error",
        f"role {look.role} may not replicate",
        "the connector can make no slot and read none; Debezium only logs it",
        Mend((grant,), safe=True),
    )


def _has_amazons_right(look: Look) -> bool:
    return bool(
        look.rows(
            "SELECT 1 FROM pg_roles WHERE rolname = %s AND pg_has_role(current_user, oid, 'MEMBER')",
            [AMAZONS_RIGHT],
        )
    )


def replication_connection(look: Look) -> Iterator[Flaw]:
    """A replication connection opens, and answers `IDENTIFY_SYSTEM` with the source's database"""
    try:
        with look.replication() as connection:
            *_, database = connection.execute("IDENTIFY_SYSTEM").fetchone() or ("nothing",)
    except psycopg.Error as error:
        yield Flaw(
            "error",
            f"a replication connection was refused: {str(error).strip()}",
            "the connector can't read changes",
            Mend(
                advice="mend what is found of the role's right and of WAL senders; pg_hba.conf has to let the"
                " role in, and a pooler in between does not pass replication on"
            ),
        )
        return
    if database != look.source.database:
        yield Flaw(
            "error",
            f"IDENTIFY_SYSTEM answers with database {database}",
            "the connector would read another database's changes",
            Mend(advice="connect to the server itself, without a pooler in between"),
        )


def heartbeat(look: Look) -> Iterator[Flaw]:
    """Heartbeats are on, and the role may write them"""
    query = look.config.get("heartbeat.action.query", "")
    stalls = "quiet tables move no slot, so the WAL of all others in the server is kept, up to its bound"
    if look.config.get("heartbeat.interval.ms", "0") == "0":
        yield Flaw(
            "error", "heartbeat.interval.ms is 0", stalls, Mend(advice="give the connector an interval")
        )
    if "pg_logical_emit_message" not in query:
        return
    role = name(look.role)
    for signature, allowed in look.rows(
        "SELECT oid::regprocedure::text, has_function_privilege(oid, 'EXECUTE') FROM pg_proc"
        " WHERE proname = 'pg_logical_emit_message' AND proargtypes[2] = 'text'::regtype"
    ):
        if not allowed:
            grant = f"GRANT EXECUTE ON FUNCTION pg_catalog.{signature} TO {role.as_string(None)}"
            yield Flaw(
                "error",
                f"role {look.role} may not execute {signature}",
                stalls,
                Mend((grant,), safe=True),
            )
