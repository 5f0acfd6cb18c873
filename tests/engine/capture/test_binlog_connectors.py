"""What the plan tells a connector of MySQL or MariaDB is what the pinned Debezium of that engine takes.

Its own validation is run, without a database: no server of these kinds is run by this test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pytest

from headrace.plan.aws import aws_plan
from headrace.plan.aws.kafka import PLUGIN_FOLDERS
from headrace.toolchain.runtimes import Runtimes
from tests.engine.capture.debeziums_word import told_by
from tests.unit.environment.binlog import of_engine
from tests.unit.environment.declarations import parsed

Binlog = Literal["mysql", "mariadb"]
LATER = {
    "database.hostname": "db.example",
    "database.password": "${secretsmanager:shop:password}",
    "schema.history.internal.kafka.bootstrap.servers": "b-1.example:9098",
}
"""What the substrate puts in the place of what is not known before."""
CONFIGURATIONS: Mapping[Binlog, str] = {
    "mysql": "io.debezium.connector.mysql.MySqlConnectorConfig",
    "mariadb": "io.debezium.connector.mariadb.MariaDbConnectorConfig",
}
both = pytest.mark.parametrize("engine", CONFIGURATIONS)


def there(engine: Binlog) -> dict[str, str]:
    (source,) = aws_plan(parsed(of_engine(engine))).sources
    return source.connector_config | LATER


def said(engine: Binlog, config: Mapping[str, str]) -> list[list[str]]:
    """What the program beside this file prints, with the jars of the engine's plugin."""
    plugin = Runtimes.locate().other_plugins / PLUGIN_FOLDERS[engine]
    return told_by("ValidConfiguration.java", plugin, config, CONFIGURATIONS[engine])


@both
def test_debezium_knows_every_setting_and_takes_every_value_and_says_exactly_once(engine: Binlog) -> None:
    assert said(engine, there(engine)) == [["exactly-once", "SUPPORTED"]]


@both
def test_debezium_refuses_what_is_wrong(engine: Binlog) -> None:
    broken = there(engine) | {
        "snapshot.locking.mode": "sometimes",
        "database.server.id": "0",
        "time.precision.mode": "roughly",
        "slot.name": "a_slot",
    }
    del broken["schema.history.internal.kafka.topic"]
    found = {tuple(line[:2]) for line in said(engine, broken)} - {("exactly-once", "SUPPORTED")}
    assert found == {
        ("unknown", "slot.name"),
        ("wrong", "database.server.id"),
        ("wrong", "schema.history.internal.kafka.topic"),
        ("wrong", "snapshot.locking.mode"),
        ("wrong", "time.precision.mode"),
    }
