"""What there is for each kind of database, and what of it was run here."""

from __future__ import annotations

from typing import NamedTuple

from headrace.capture.finding import Finding, Flaw, Mend, Report
from headrace.environment.engines import ENGINES
from headrace.errors import HeadraceError
from headrace.plan.model import BinlogSourcePlan, SourcePlan

NOT_LOOKED_AT = "engine"
"""The finding's name."""


class Standing(NamedTuple):
    meaning: str
    postgresql: str
    mysql: str
    mariadb: str


STANDINGS = (
    Standing(
        "a connector on this machine",
        "yes: PostgreSQL runs here",
        "**no**: refused when declared, 0 MySQL servers run here",
        "**no**: refused when declared, 0 MariaDB servers are run by a stack",
    ),
    Standing("a connector on AWS", "generated", "generated", "generated"),
    Standing(
        "version of Debezium",
        "3.7.0.Final",
        "3.6.1.Final, the newest to be had",
        "3.5.0.Final, the newest to be had",
    ),
    Standing(
        "exactly-once source",
        "supported, and run: the ledger under kills",
        "the connector says that it supports it; not run",
        "the connector says that it supports it, and starts where it is required; no kill was seen",
    ),
    Standing(
        "`headrace preflight`, publication, slot, `headrace capture status`, backfills, what is watched",
        "yes",
        "**no**: they are of slots, and ask PostgreSQL",
        "**no**: they are of slots, and ask PostgreSQL",
    ),
    Standing(
        "agents read its events",
        "the whole pipeline was run",
        "envelopes as Debezium documents them, in unit tests",
        "envelopes as Debezium documents them, in unit tests",
    ),
    Standing(
        "agents are checked against declared columns",
        "names and types",
        "names; types are not, and a preview says so",
        "names; types are not, and a preview says so",
    ),
)


def by_engine_table() -> str:
    """Markdown: a row for each."""
    titles = " | ".join(facts.title for facts in ENGINES.values())
    rows = [f"| {each.meaning} | {each.postgresql} | {each.mysql} | {each.mariadb} |" for each in STANDINGS]
    return "\n".join([f"| | {titles} |", "|---|---|---|---|", *rows])


def not_looked_at(source: BinlogSourcePlan) -> Report:
    """What a preflight says of a source that it can't look at."""
    flaw = Flaw(
        "warning",
        f"{ENGINES[source.engine].title} is not looked at: the checks ask PostgreSQL",
        "what the connector lacks there is known when it starts",
        Mend(
            advice=f"By hand: log_bin on, binlog_format ROW, binlog_row_image FULL; user"
            f" {source.connector_config['database.user']} with SELECT, RELOAD, SHOW DATABASES, LOCK TABLES,"
            " REPLICATION SLAVE, REPLICATION CLIENT; binlogs kept for longer than the connector may be away."
        ),
    )
    return Report(source.name, "", (), (Finding.of(NOT_LOOKED_AT, flaw),))


def refuse_other_engine(source: SourcePlan) -> None:
    """Raises HeadraceError for a source that is not PostgreSQL's: the command asks its server or its slot."""
    if source.engine != "postgresql":
        raise HeadraceError(
            f"source {source.name}: given engine {source.engine}; allowed: `postgresql`, whose server and"
            " slot this command asks"
        )
