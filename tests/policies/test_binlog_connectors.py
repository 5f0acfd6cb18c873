"""HR-CDC-1 on connectors of MySQL and MariaDB: what they have in the place of slot and publication."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from headrace_policies import RULES
from headrace_policies.cdc import PINNED
from headrace_policies.msk import CONNECTOR, GOOD_CONNECTOR
from headrace_policies.rule import Declared
from tests.policies.analyzer import Analyzer, serving

CLASSES = (
    "io.debezium.connector.mysql.MySqlConnector",
    "io.debezium.connector.mariadb.MariaDbConnector",
    "dev.headrace.debezium.MySqlConnector",
    "dev.headrace.debezium.MariaDbConnector",
)
GOOD: Mapping[str, Any] = {
    "database.password": "${secretsmanager:orders-database:password}",
    "database.server.id": "2312434860",
    "schema.history.internal.kafka.topic": "orders.schema-history",
    "heartbeat.interval.ms": "5000",
    "errors.max.retries": "100",
}


@pytest.fixture(scope="module")
def pack() -> Iterator[Analyzer]:
    with serving(RULES) as analyzer:
        yield analyzer


def said(pack: Analyzer, configuration: Mapping[str, Any]) -> list[str]:
    connector = Declared(CONNECTOR, {**GOOD_CONNECTOR, "connectorConfiguration": dict(configuration)})
    return [each.message for each in pack.judge((connector, PINNED)) if each.rule == "HR-CDC-1"]


@pytest.mark.parametrize("kind", CLASSES)
def test_what_is_good_passes(pack: Analyzer, kind: str) -> None:
    assert said(pack, {**GOOD, "connector.class": kind}) == []


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("heartbeat.interval.ms", "0", "binlog that the source removes"),
        ("schema.history.internal.kafka.topic", None, "how its tables looked"),
        ("database.server.id", None, "throws out the first of two"),
        ("database.server.id", "0", "throws out the first of two"),
        ("errors.max.retries", "-1", "never says so"),
    ],
)
def test_what_is_bad_is_named(pack: Analyzer, kind: str, key: str, value: str | None, why: str) -> None:
    given = {**GOOD, "connector.class": kind, key: value}
    (message,) = said(pack, {name: each for name, each in given.items() if each is not None})
    assert key in message
    assert why in message
