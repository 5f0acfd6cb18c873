"""Each check fails at a source prepared to fail it, and passes after its own advice was followed.

The advice's own statements are run, by an administrator, as `headrace preflight` shows them. Amazon's servers
are imitated: by roles and settings of their names on an ordinary server.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import psycopg
import pytest

from headrace.capture import preflight as runner
from headrace.capture.finding import Finding, Flaw, Report, Severity
from headrace.capture.look import Look
from headrace.capture.mending import mend
from headrace.capture.positions import POSITIONS, text
from headrace.capture.preflight import CHECKS, identity, preflight
from headrace.capture.server import server_version
from headrace.capture.standby import standby_decodes
from headrace.errors import HeadraceError
from tests.engine.capture.server import PASSWORD
from tests.engine.capture.source import GIB, Source

MOST_ROUNDS = 2
PARTITIONED = """
DROP TABLE parts;
CREATE TABLE parts (id bigint PRIMARY KEY, note text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (1000);
GRANT SELECT ON parts TO {role};
"""


@dataclass(frozen=True)
class Spoilt:
    """A source that fails `check` after `sql`, as the superuser in its database."""

    check: str
    sql: str
    severity: Severity = "error"
    safe: bool = False
    says: str = ""
    findings: int = 1
    since: int = 13
    """PostgreSQL's major version."""
    mended_by: str = ""
    """What a person does where the advice is no statement."""


SPOILT = (
    Spoilt("replication-right", "ALTER ROLE {role} NOREPLICATION", safe=True, says="may not replicate"),
    Spoilt(
        "heartbeat",
        "DO $$ DECLARE f text; BEGIN FOR f IN SELECT oid::regprocedure FROM pg_proc WHERE proname ="
        " 'pg_logical_emit_message' LOOP EXECUTE 'REVOKE EXECUTE ON FUNCTION ' || f || ' FROM PUBLIC';"
        " END LOOP; END $$",
        safe=True,
        says="may not execute",
    ),
    Spoilt("tables-exist", "DROP TABLE orders", says="public.orders is not in database"),
    Spoilt("tables-are-logged", "DROP PUBLICATION {role}; ALTER TABLE orders SET UNLOGGED", says="unlogged"),
    Spoilt(
        "tables-are-logged",
        "DROP TABLE parts; CREATE VIEW parts AS SELECT * FROM orders",
        says="a view",
        mended_by="DROP VIEW parts; CREATE TABLE parts (id bigint PRIMARY KEY)",
    ),
    Spoilt("tables-are-readable", "REVOKE SELECT ON orders FROM {role}", safe=True, says="public.orders"),
    Spoilt("tables-are-readable", "REVOKE USAGE ON SCHEMA public FROM PUBLIC", safe=True, findings=2),
    Spoilt("rows-are-visible", "ALTER TABLE orders ENABLE ROW LEVEL SECURITY", says="row security"),
    Spoilt(
        "primary-keys",
        "ALTER TABLE orders DROP CONSTRAINT orders_pkey",
        severity="warning",
        says="no primary key",
    ),
    Spoilt(
        "primary-keys",
        "ALTER TABLE parts ADD code bigint NOT NULL; ALTER TABLE parts DROP CONSTRAINT parts_pkey;"
        " ALTER TABLE parts ADD PRIMARY KEY (id, code)",
        severity="warning",
        says="has primary key (id, code), declared is (id)",
        mended_by="ALTER TABLE parts DROP CONSTRAINT parts_pkey; ALTER TABLE parts ADD PRIMARY KEY (id)",
    ),
    Spoilt("columns-exist", "ALTER TABLE orders DROP COLUMN note", says="no column note"),
    Spoilt("column-types", "ALTER TABLE parts ADD path jsonpath", severity="warning", says="jsonpath"),
    Spoilt("column-types", "ALTER TABLE parts ADD spans interval[]", severity="warning", says="interval[]"),
    Spoilt(
        "column-types",
        "ALTER TABLE orders ALTER note TYPE tsquery USING note::tsquery",
        says="note is tsquery",
    ),
    Spoilt(
        "generated-columns",
        "ALTER TABLE parts ADD length bigint GENERATED ALWAYS AS (length(note)) STORED",
        severity="warning",
        says="generated",
    ),
    Spoilt(
        "replica-identities",
        "ALTER TABLE orders REPLICA IDENTITY DEFAULT",
        safe=True,
        says="(customer_id)",
    ),
    Spoilt("replica-identities", "ALTER TABLE parts REPLICA IDENTITY NOTHING", safe=True, says="(id)"),
    Spoilt(
        "replica-identities",
        PARTITIONED + "ALTER TABLE parts_1 REPLICA IDENTITY NOTHING",
        safe=True,
        says="public.parts_1",
    ),
    Spoilt("publication-exists", "DROP PUBLICATION {role}", safe=True, says="is told to make none"),
    Spoilt(
        "published-tables",
        "DROP PUBLICATION {role}; CREATE PUBLICATION {role} FOR ALL TABLES",
        says="all tables",
    ),
    Spoilt("published-tables", "ALTER PUBLICATION {role} DROP TABLE parts", safe=True, says="lacks"),
    Spoilt(
        "published-tables",
        "CREATE TABLE others (id bigint PRIMARY KEY); ALTER PUBLICATION {role} ADD TABLE others",
        says="also has public.others",
    ),
    Spoilt(
        "published-tables",
        "ALTER PUBLICATION {role} SET TABLES IN SCHEMA public",
        says="all of schema public",
        since=15,
    ),
    Spoilt(
        "published-whole",
        "ALTER PUBLICATION {role} SET TABLE parts, orders WHERE (id > 5)",
        says="public.orders",
        since=15,
    ),
    Spoilt(
        "published-operations",
        "ALTER PUBLICATION {role} SET (publish = 'insert')",
        safe=True,
        says="update, delete",
    ),
    Spoilt(
        "published-by-root",
        PARTITIONED + "ALTER PUBLICATION {role} ADD TABLE parts",
        safe=True,
        says="public.parts",
    ),
    Spoilt(
        "slot-fits",
        "SELECT pg_create_logical_replication_slot('{role}', 'test_decoding')",
        says="of plugin test_decoding",
    ),
    Spoilt("slot-fits", "SELECT pg_create_physical_replication_slot('{role}')", says="physical"),
    Spoilt(
        "no-orphans",
        "SELECT pg_create_logical_replication_slot('headrace_gone_shop', 'pgoutput')",
        severity="warning",
        says="slot headrace_gone_shop belongs to no declared source, and nobody reads it",
    ),
    Spoilt(
        "no-orphans",
        "SELECT pg_create_physical_replication_slot('standby', true)",
        severity="warning",
        says="slot standby",
    ),
    Spoilt(
        "no-orphans",
        "CREATE PUBLICATION headrace_gone_shop FOR TABLE parts",
        severity="warning",
        says="publication headrace_gone_shop",
    ),
)


@pytest.mark.parametrize("spoilt", SPOILT, ids=lambda spoilt: f"{spoilt.check}-{spoilt.says}")
def test_a_spoilt_source_fails_and_its_advice_mends_it(source: Source, spoilt: Spoilt) -> None:
    if _major(source) < spoilt.since:
        pytest.skip(f"PostgreSQL {spoilt.since} and newer can be like that")
    source.run(spoilt.sql)

    report = source.report()
    findings = [finding for finding in report.findings if finding.check == spoilt.check]
    assert len(findings) == spoilt.findings
    for finding in findings:
        assert finding.severity == spoilt.severity
        assert finding.mend.safe == spoilt.safe
        assert spoilt.says in finding.found
        assert bool(finding.mend.sql) != bool(spoilt.mended_by)
        assert finding.mend.sql or finding.mend.advice

    mend(source.administrator, report.safe_sql)
    if not spoilt.safe:
        source.mend(findings)
    if spoilt.mended_by:
        source.run(spoilt.mended_by)
    assert source.found(spoilt.check) == []

    # What came of it elsewhere goes the same way: a table that is made anew is not yet readable, for example.
    for _ in range(MOST_ROUNDS):
        source.mend(source.report().findings)
    assert source.report().findings == ()


def _major(source: Source) -> int:
    return int(source.value("SHOW server_version_num")) // 10000


def test_a_source_that_is_ready_passes_every_check(source: Source) -> None:
    report = source.report()
    assert report.findings == ()
    assert report.passed == ("connection", *map(identity, CHECKS))
    assert report.server == source.value("SHOW server_version")


def test_safe_statements_alone_make_a_source_ready_again(source: Source) -> None:
    source.run(
        "ALTER ROLE {role} NOREPLICATION",
        "REVOKE SELECT ON orders, parts FROM {role}",
        "ALTER TABLE orders REPLICA IDENTITY NOTHING",
        "DROP PUBLICATION {role}",
    )
    broken = source.report()
    assert len(broken.of("error")) == 6

    for statement in broken.safe_sql:
        source.run(statement)

    assert source.report().findings == ()


def only(report: Report, check: str) -> Finding:
    (finding,) = (finding for finding in report.findings if finding.check == check)
    return finding


def test_connection(source: Source) -> None:
    source.run("ALTER ROLE {role} NOLOGIN")
    report = source.report()
    assert only(report, "connection").severity == "error"
    assert report.passed == ()
    assert PASSWORD not in str(report)
    source.run("ALTER ROLE {role} LOGIN")
    assert source.report().findings == ()


def test_replication_connection(source: Source) -> None:
    source.run("ALTER ROLE {role} NOREPLICATION")
    report = source.report()
    assert "a replication connection was refused" in only(report, "replication-connection").found
    source.mend([only(report, "replication-right")])
    assert source.found("replication-connection") == []


def test_wal_level(source: Source) -> None:
    source.run("ALTER SYSTEM SET wal_level = 'replica'")
    source.server.restart()
    (finding,) = source.found("wal-level")
    assert finding.mend.advice == "restart the server afterwards"
    assert not finding.mend.safe
    source.mend([finding])
    assert len(source.found("wal-level")) == 1
    source.server.restart()
    assert source.found("wal-level") == []


def test_free_slots(source: Source) -> None:
    for number in range(4):
        source.run(f"SELECT pg_create_physical_replication_slot('other_{number}')")
    (finding,) = source.found("free-slots")
    assert "other_0, other_1, other_2, other_3" in finding.found
    source.mend([finding])
    source.server.restart()
    assert source.found("free-slots") == []


def test_a_source_with_its_slot_needs_no_other(source: Source) -> None:
    source.make_slot()
    for number in range(3):
        source.run(f"SELECT pg_create_physical_replication_slot('other_{number}')")
    assert source.report().findings == ()


def test_free_senders(source: Source) -> None:
    source.run("ALTER SYSTEM SET max_wal_senders = 1")
    source.server.restart()
    with source.access.open(replication="database"):
        report = source.report()
    finding = only(report, "free-senders")
    assert "max_wal_senders are busy" in finding.found
    assert "replication-connection" in {each.check for each in report.findings}
    source.mend([finding])
    source.server.restart()
    with source.access.open(replication="database"):
        assert source.report().findings == ()


def test_bounded_wal(source: Source) -> None:
    source.run("ALTER SYSTEM SET max_slot_wal_keep_size = -1", "SELECT pg_reload_conf()")
    (finding,) = source.found("bounded-wal")
    assert finding.severity == "error"
    assert finding.mend.safe
    source.mend([finding])
    assert source.found("bounded-wal") == []
    assert source.value("SHOW max_slot_wal_keep_size") == "16GB"


def test_bounded_wal_by_a_disk_that_is_too_small(source: Source) -> None:
    source.disk_free_bytes = GIB // 2
    (finding,) = source.found("bounded-wal")
    assert finding.severity == "warning"
    assert "1024 MB, and the disk has 512 MB left" in finding.found
    source.mend([finding])
    assert source.found("bounded-wal") == []
    assert source.value("SHOW max_slot_wal_keep_size") == "256MB"


def test_bounded_wal_on_a_disk_that_nobody_knows(source: Source) -> None:
    source.disk_free_bytes = None
    (finding,) = source.found("bounded-wal")
    assert finding.severity == "info"
    assert "not known here" in finding.found
    source.run("ALTER SYSTEM SET max_slot_wal_keep_size = -1", "SELECT pg_reload_conf()")
    (finding,) = source.found("bounded-wal")
    assert finding.severity == "error"
    assert not finding.mend.safe


def test_idle_slots_stay(source: Source) -> None:
    if _major(source) < 18:
        pytest.skip("PostgreSQL 18 and newer have idle_replication_slot_timeout")
    source.run("ALTER SYSTEM SET idle_replication_slot_timeout = '1h'", "SELECT pg_reload_conf()")
    (finding,) = source.found("idle-slots-stay")
    assert finding.severity == "warning"
    source.mend([finding])
    assert source.found("idle-slots-stay") == []


def test_slot_is_free(source: Source) -> None:
    source.make_slot()
    # pg_recvlogical is not in the binaries: this is what it sends.
    with source.streaming("postgres"):
        (finding,) = source.found("slot-is-free")
        assert "is read by role postgres" in finding.found
        source.mend([finding])
    assert source.found("slot-is-free") == []


def test_a_source_that_its_own_connector_reads_is_ready(source: Source) -> None:
    source.make_slot()
    source.run("ALTER SYSTEM SET max_wal_senders = 2")
    source.server.restart()
    with source.streaming(source.role):
        assert source.value("SELECT active FROM pg_replication_slots")
        assert source.report().findings == ()


def test_what_belongs_to_a_declared_source_or_is_read_is_no_orphan(source: Source) -> None:
    source.make_slot()
    source.run(
        "SELECT pg_create_logical_replication_slot('headrace_local_second', 'pgoutput')",
        "CREATE PUBLICATION headrace_local_second FOR TABLE parts",
    )
    assert len(source.found("no-orphans")) == 2
    source.declared = ("headrace_local_second",)
    assert source.report().findings == ()
    source.declared = ()
    with source.streaming("postgres", slot="headrace_local_second"):
        assert source.report().findings == ()


def test_slot_meets_offset(source: Source) -> None:
    """A slot that was moved on without its connector: what is between is sent to nobody, in silence."""
    source.make_slot()
    behind = source.confirmed()
    source.run("INSERT INTO parts VALUES (1)")
    source.run("SELECT pg_replication_slot_advance('{role}', pg_current_wal_lsn())")
    ahead = source.confirmed()
    assert ahead > behind

    (finding,) = source.found("slot-meets-offset")
    assert finding.severity == "error"
    assert f"is ahead, at {text(ahead)}: the connector has stored {text(behind)}" in finding.found
    assert f"in these {ahead - behind} bytes of WAL" in finding.consequence
    assert "`headrace capture resnapshot" in finding.mend.advice
    assert "`headrace capture accept" in finding.mend.advice
    assert finding.mend.sql == ()

    # Of the three that an offset has the furthest counts: what is committed before it is in Kafka.
    for position in POSITIONS:
        source.offset = dict.fromkeys(POSITIONS, behind) | {position: ahead}
        assert source.report().findings == ()


def test_slot_meets_offset_of_a_slot_that_is_gone(source: Source) -> None:
    source.offset = {"lsn": 0x1_2345_6789}
    (finding,) = source.found("slot-meets-offset")
    assert finding.severity == "error"
    assert "is lost: it is not there, and the connector has stored 1/23456789" in finding.found
    assert "`headrace capture resnapshot" in finding.mend.advice
    source.offset = None
    assert source.report().findings == ()


@pytest.mark.parametrize("offset", [None, {"lsn": 1 << 40, "snapshot": "INITIAL"}])
def test_slot_meets_offset_where_a_first_snapshot_did_not_end(
    source: Source, offset: dict[str, object] | None
) -> None:
    source.make_slot()
    source.offset = offset
    (finding,) = source.found("slot-meets-offset")
    assert finding.severity == "warning"
    assert "has not stored the end of a first snapshot" in finding.found
    with source.streaming(source.role):
        assert source.found("slot-meets-offset") == []
    source.mend([finding])
    assert not source.value("SELECT count(*) FROM pg_replication_slots")


def test_slot_meets_offset_where_nobody_tells_the_offset(source: Source) -> None:
    source.make_slot()
    (finding,) = preflight(source.plan, replace(source.access, offset=None)).findings
    assert (finding.check, finding.severity) == ("slot-meets-offset", "info")

    def nobody() -> None:
        raise HeadraceError("Kafka does not answer")

    (finding,) = preflight(source.plan, replace(source.access, offset=nobody)).findings
    assert (finding.check, finding.severity) == ("slot-meets-offset", "warning")
    assert "Kafka does not answer" in finding.found


def test_slot_keeps_its_wal(source: Source) -> None:
    source.make_slot()
    source.run("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'", "SELECT pg_reload_conf()")
    for _ in range(4):
        source.run("SELECT pg_logical_emit_message(false, 'filling', repeat('x', 100000))")
        source.run("SELECT pg_switch_wal()")
    (finding,) = source.found("slot-keeps-its-wal")
    assert finding.severity == "warning"
    assert "past max_slot_wal_keep_size" in finding.found

    source.run("CHECKPOINT")
    (finding,) = source.found("slot-keeps-its-wal")
    assert finding.severity == "error"
    assert "is lost" in finding.found
    assert not finding.mend.safe
    source.mend([finding])
    assert source.found("slot-keeps-its-wal") == []


@contextmanager
def open_transaction(source: Source) -> Iterator[None]:
    with source.server.connect(source.plan.database) as other:
        try:
            with other.transaction():
                other.execute("INSERT INTO orders VALUES (1)")
                yield
        except psycopg.OperationalError:
            assert other.broken


def test_long_transactions(source: Source) -> None:
    source.long_transaction = timedelta(0)
    with open_transaction(source):
        (unseen,) = source.found("long-transactions")
        assert unseen.severity == "info"
        assert "may not see since when" in unseen.found
        source.mend([unseen])

        (finding,) = source.found("long-transactions")
        assert finding.severity == "warning"
        assert not finding.mend.safe
        source.mend([finding])
    assert source.found("long-transactions") == []


def test_transactions_do_not_hold_up_a_slot_that_is_there(source: Source) -> None:
    source.long_transaction = timedelta(0)
    source.run("GRANT pg_read_all_stats TO {role}")
    source.make_slot()
    with open_transaction(source):
        assert source.found("long-transactions") == []


def test_prepared_transactions(source: Source) -> None:
    source.long_transaction = timedelta(0)
    source.run("BEGIN; INSERT INTO orders VALUES (1); PREPARE TRANSACTION 'left over'")
    (finding,) = source.found("prepared-transactions")
    assert "left over" in finding.found
    assert not finding.mend.safe
    source.mend([finding])
    assert source.found("prepared-transactions") == []


def test_heartbeats_that_are_off(source: Source) -> None:
    source.configure(heartbeat_interval_ms="0")
    (finding,) = source.found("heartbeat")
    assert finding.mend.advice == "give the connector an interval"
    source.configure(heartbeat_interval_ms="5000")
    assert source.found("heartbeat") == []


@contextmanager
def on_standby(source: Source) -> Iterator[Source]:
    """The source on a standby of its server."""
    primary, standby = source.server, source.server.standby()
    try:
        standby.start()
        source.server = standby
        yield source
    finally:
        source.server = primary
        standby.remove()


def test_standby_feedback_and_standby_heartbeat(source: Source) -> None:
    with on_standby(source) as copy:
        report = copy.report()
        assert "writes" in only(report, "standby-heartbeat").found
        feedback = only(report, "standby-feedback")
        assert feedback.mend.safe
        copy.mend([feedback])
        assert copy.found("standby-feedback") == []
        copy.configure(heartbeat_action_query="")
        assert copy.found("standby-heartbeat") == []
        old = {finding.check for finding in copy.report().findings}
        assert old == (set() if _major(copy) >= 16 else {"standby-decodes"})


@contextmanager
def looked_at(source: Source) -> Iterator[Look]:
    with source.access.open() as connection:
        yield Look(
            source=source.plan,
            connection=connection,
            replication=lambda: source.access.open(replication="database"),
            version=connection.info.server_version,
            disk_free_bytes=source.disk_free_bytes,
        )


def test_server_version_and_standby_decodes_of_versions_that_are_not_run_here(source: Source) -> None:
    """The catalogue is a real server's; its version is put in."""
    with on_standby(source) as copy, looked_at(copy) as look:
        old = runner.report(replace(look, version=120022))
        assert [finding.check for finding in old.findings] == ["server-version"]
        assert old.passed == ("connection",)
        (standby,) = standby_decodes(replace(look, version=150010))
        assert standby.mend.advice == "capture from the primary"
        for version in (130000, 160000):
            assert not [*server_version(replace(look, version=version))]
        assert not [*standby_decodes(replace(look, version=160000))]


@pytest.fixture
def amazons(source: Source) -> Iterator[Source]:
    """Imitated: the roles by which Amazon's servers are known, and give the right to replicate."""
    source.run("CREATE ROLE rds_superuser", "CREATE ROLE rds_replication")
    yield source
    source.run("DROP ROLE rds_superuser", "DROP ROLE rds_replication")


def test_on_amazon_the_right_to_replicate_is_a_membership(amazons: Source) -> None:
    (finding,) = amazons.found("replication-right")
    assert finding.mend.sql == (f'GRANT "rds_replication" TO "{amazons.role}"',)
    amazons.mend([finding])
    assert amazons.found("replication-right") == []


def test_on_amazon_settings_are_the_parameter_groups(amazons: Source) -> None:
    amazons.run("ALTER SYSTEM SET wal_level = 'replica'")
    amazons.run("ALTER SYSTEM SET max_slot_wal_keep_size = -1")
    amazons.server.restart()
    for check, parameter in (
        ("wal-level", "rds.logical_replication"),
        ("bounded-wal", "max_slot_wal_keep_size"),
    ):
        (finding,) = amazons.found(check)
        assert finding.mend.sql == ()
        assert finding.mend.advice.startswith(f"set {parameter} to ")
        assert "parameter group" in finding.mend.advice


def test_what_can_not_be_looked_at_is_said_and_hides_nothing_else(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(look: Look) -> Iterator[Flaw]:
        """Something that no role may see"""
        look.rows("SELECT * FROM pg_authid")
        yield from ()

    source.run("ALTER ROLE {role} NOREPLICATION")
    monkeypatch.setattr(runner, "CHECKS", (refused, *CHECKS))
    report = source.report()
    assert "permission denied" in only(report, "refused").found
    assert only(report, "refused").severity == "warning"
    assert only(report, "replication-right").severity == "error"


def test_a_statement_that_waits_for_a_lock_gives_up(source: Source) -> None:
    with source.server.connect(source.plan.database) as other, other.transaction():
        other.execute("SELECT FROM orders")
        with pytest.raises(HeadraceError, match=r"lock timeout. Run before it: SELECT 1"):
            mend(source.administrator, ["SELECT 1", "ALTER TABLE orders REPLICA IDENTITY DEFAULT"])
    assert source.report().findings == ()


def test_nothing_is_changed_without_the_administrator(source: Source) -> None:
    source.run("ALTER ROLE {role} NOLOGIN")
    with pytest.raises(HeadraceError, match="nothing was changed"):
        mend(source.access, ["DROP TABLE orders"])


def test_every_check_is_among_these_tests() -> None:
    tested = {spoilt.check for spoilt in SPOILT}
    functions = [name for name in globals() if name.startswith("test_")]
    untested = [
        check.__name__
        for check in CHECKS
        if identity(check) not in tested and not any(check.__name__ in name for name in functions)
    ]
    assert untested == []
