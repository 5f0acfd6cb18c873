"""The look at a source before its connector, and its slot: the real engine, provider and PostgreSQL.

The secret is in moto; the connector is the stand-in's record of one.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.plan.model import PostgresqlSourcePlan
from tests.components.aws.planned import planned
from tests.engine.aws.project import Done, Project
from tests.engine.aws.source import CapturedDatabase, credentials
from tests.engine.aws.stage import made_before
from tests.engine.aws.test_alone import PROGRAM
from tests.engine.capture.server import Server
from tests.pipeline.sizes import in_make_engine_alone
from tests.standins.aws.account import Account
from tests.standins.place import Place

CONNECTOR = "aws:mskconnect/connector:Connector"
PREFLIGHT = "headrace-aws:index:Preflight own-support-preflight"
SQL = re.compile(r"^ +([A-Z].*);$", re.MULTILINE)
"""Statements in what is said of findings."""


@pytest.fixture
def database(encrypted: Server, place: Place, tmp_path: Path) -> Iterator[CapturedDatabase]:
    source = planned().sources[0]
    assert isinstance(source, PostgresqlSourcePlan)
    made = CapturedDatabase(encrypted, source, place, tmp_path / "files")
    yield made
    made.remove()


class Capture(Project):
    """`ChangeCapture` alone, with the rights of whoever brings it up."""

    def up(self, *options: str, **_: Any) -> Done:
        return self.pulumi("up", "--yes", "--skip-preview", *options, check=False)

    def environment(self) -> dict[str, str]:
        return super().environment() | credentials(self.place)

    def tell(self, **given: Any) -> None:
        file = self.folder / "program" / "given.json"
        before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        file.write_text(json.dumps(before | given), encoding="utf-8")


@pytest.fixture
def capture(place: Place, database: CapturedDatabase, tmp_path: Path) -> Capture:
    archive = tmp_path / "debezium.zip"
    archive.write_bytes(b"a plugin")
    subnets = ("subnet", "other-subnet", "third-subnet")
    made = made_before(place, archive, "vpc", *subnets, "group", "bucket", "versioning", "brokers")
    project = Capture(tmp_path / "project", place, "own")
    shutil.copytree(PROGRAM, project.folder / "program")
    project.tell(
        component="ChangeCapture",
        archive=str(archive),
        bootstrap=made["brokers"].state["bootstrapBrokersSaslIam"],
        brokers=made["brokers"].id,
        bucket=made["bucket"].id,
        group=made["group"].id,
        kafka="standard",
        subnets=[made[name].id for name in subnets],
        vpc=made["vpc"].id,
        **database.address,
    )
    project.start("program")
    return project


def kept(capture: Capture) -> str:
    """All that is written of the stack: state, history, record."""
    state = (file for file in (capture.folder / "state").rglob("*") if file.is_file())
    return "".join(file.read_text(errors="replace") for file in [*state, capture.place.record])


def connectors(capture: Capture) -> list[str]:
    return [key for key in capture.made() if key.startswith(CONNECTOR)]


def test_a_database_that_is_not_ready_stops_up_before_its_connector_and_passes_after_the_advice(
    capture: Capture, database: CapturedDatabase
) -> None:
    slot = database.plan.slot
    database.run(f"ALTER ROLE {slot} NOREPLICATION", f"DROP PUBLICATION {database.plan.publication}")

    stopped = capture.up()
    assert stopped.status != 0
    assert "source support is not ready to be captured" in stopped.output
    advised = list(dict.fromkeys(SQL.findall(stopped.output)))
    assert f'ALTER ROLE "{slot}" REPLICATION' in advised
    assert any(each.startswith("CREATE PUBLICATION") for each in advised)
    assert connectors(capture) == []

    database.run(*advised)
    passed = capture.up()
    assert passed.status == 0, passed.output
    assert len(connectors(capture)) == 1
    assert capture.resources()[PREFLIGHT]["outputs"]["status"] == "passed"
    assert capture.preview() == {}

    for text in (kept(capture), stopped.output, passed.output):
        assert database.password not in text
    assert database.secret_arn in kept(capture)


@in_make_engine_alone("a database on AWS that changed since it was looked at")
def test_what_went_wrong_since_is_seen_by_a_refresh_and_fails_the_next_up_and_the_connector_stays(
    capture: Capture, database: CapturedDatabase
) -> None:
    assert capture.up().status == 0
    database.run(f"ALTER PUBLICATION {database.plan.publication} DROP TABLE orders")
    assert capture.preview() == {}
    capture.refresh()
    assert capture.preview() == {PREFLIGHT: "update"}
    failed = capture.up()
    assert failed.status != 0
    assert "lacks public.orders" in failed.output
    assert len(connectors(capture)) == 1


def test_a_database_that_is_out_of_reach_is_said_with_what_has_to_let_whom_in(
    capture: Capture, database: CapturedDatabase
) -> None:
    capture.tell(port=1)
    previewed = capture.pulumi("preview")
    assert "a preview looks at no source database" in previewed.output

    failed = capture.up()
    assert failed.status != 0
    group = json.loads((capture.folder / "program" / "given.json").read_text())["group"]
    assert (
        f"security group {group} has to let in TCP port 1 from where the stack is brought up" in failed.output
    )
    assert connectors(capture) == []


@in_make_engine_alone("a secret on AWS that is not what it should be")
def test_a_secret_without_a_password_is_said_and_not_shown(
    capture: Capture, database: CapturedDatabase, account: Account
) -> None:
    account.secretsmanager.put_secret_value(SecretId=database.secret_arn, SecretString="not the form")
    failed = capture.up()
    assert failed.status != 0
    assert f"secret {database.secret_arn}: given no password" in failed.output
    assert "not the form" not in failed.output + kept(capture)
    account.secretsmanager.delete_secret(SecretId=database.secret_arn, ForceDeleteWithoutRecovery=True)
    failed = capture.up()
    assert f"secret {database.secret_arn} can't be read" in failed.output
    assert connectors(capture) == []


def test_the_slot_goes_with_the_source_and_is_left_where_that_is_told(
    capture: Capture, database: CapturedDatabase
) -> None:
    assert capture.up().status == 0
    # As the connector makes it, with its first snapshot.
    database.run(f"SELECT pg_create_logical_replication_slot('{database.plan.slot}', 'pgoutput')")
    capture.destroy(environment={"HEADRACE_KEEP_POSITIONS": "1"})
    assert capture.made() == set()
    assert database.slots() == [database.plan.slot]

    assert capture.up().status == 0
    capture.destroy()
    assert capture.made() == set()
    assert database.slots() == []


@in_make_engine_alone("somebody else's slot on AWS")
def test_somebody_elses_slot_stops_up_and_stays(capture: Capture, database: CapturedDatabase) -> None:
    database.run(f"SELECT pg_create_logical_replication_slot('{database.plan.slot}', 'test_decoding')")
    failed = capture.up()
    assert failed.status != 0
    assert "slot-fits" in failed.output
    capture.destroy()
    assert database.slots() == [database.plan.slot]
