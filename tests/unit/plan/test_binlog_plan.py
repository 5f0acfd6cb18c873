"""The plan of a source in MySQL or MariaDB: a connector, its topics, and nothing that is PostgreSQL's."""

from __future__ import annotations

import pytest

from headrace.environment import names
from headrace.environment.engines import Engine
from headrace.plan.aws import AwsPlan, aws_plan
from headrace.plan.binlog import HISTORY
from headrace.plan.leaves import leaves
from headrace.plan.model import BinlogSourcePlan, PostgresqlSourcePlan
from tests.unit.environment.binlog import of_engine
from tests.unit.environment.declarations import AWS, database, on_aws, parsed

both = pytest.mark.parametrize("engine", ["mysql", "mariadb"])
OF_SLOTS = ("slot.", "publication.", "plugin.name", "lsn.", "replica.identity", "message.prefix", "offset.")


def made(engine: Engine, **source: object) -> AwsPlan:
    return aws_plan(parsed(of_engine(engine, **source)))


def source_of(plan: AwsPlan) -> BinlogSourcePlan:
    (source,) = plan.sources
    assert isinstance(source, BinlogSourcePlan)
    return source


@both
def test_every_leaf_has_a_reason_and_the_plan_survives_json(engine: Engine) -> None:
    plan = made(engine)
    assert {leaf.path: leaf.reason for leaf in leaves(plan)} == plan.reasons
    assert AwsPlan.model_validate_json(plan.model_dump_json()) == plan


@both
def test_values_are_written_as_postgresqls_connector_writes_them(engine: Engine) -> None:
    """So that agents read both alike."""
    (postgresql,) = aws_plan(parsed(on_aws())).sources
    assert isinstance(postgresql, PostgresqlSourcePlan)
    config = source_of(made(engine)).connector_config
    for key in (
        "decimal.handling.mode",
        "time.precision.mode",
        "binary.handling.mode",
        "tombstones.on.delete",
        "skipped.operations",
        "exactly.once.support",
        "transaction.boundary",
        "heartbeat.interval.ms",
        "snapshot.mode",
        "key.converter",
        "value.converter",
        "errors.max.retries",
    ):
        assert config[key] == postgresql.connector_config[key], key
    assert not [key for key in config if key.startswith(OF_SLOTS)]


@both
def test_tables_are_patterns_of_their_own_names_and_records_have_their_keys(engine: Engine) -> None:
    source = source_of(made(engine))
    config = source.connector_config
    assert config["database.include.list"] == "shop"
    assert r"shop\.tickets" in config["table.include.list"].split(",")
    assert r"shop\.tickets:customer_id" in config["message.key.columns"]
    assert [table.topic for table in source.tables] == [f"support.{table.name}" for table in source.tables]
    assert {table.replica_identity for table in source.tables} == {None}


@both
def test_the_server_knows_the_connector_by_the_declared_id_or_by_one_of_its_names(engine: Engine) -> None:
    assert source_of(made(engine, server_id=77)).connector_config["database.server.id"] == "77"
    source = source_of(made(engine))
    assert source.server_id == names.server_id("local", "support")
    assert source.connector_config["database.server.id"] == str(source.server_id)


@both
def test_how_tables_looked_is_kept_for_ever_in_order(engine: Engine) -> None:
    plan = made(engine)
    source = source_of(plan)
    (topic,) = (each for each in plan.topics if each.name == source.schema_history_topic)
    assert (topic.partitions, topic.config["cleanup.policy"], topic.config["retention.ms"]) == (
        1,
        "delete",
        "-1",
    )
    assert source.connector_config[f"{HISTORY}kafka.topic"] == topic.name
    assert source.connector_config[f"{HISTORY}consumer.group.id"] == source.schema_history_group


@both
def test_its_own_clients_log_in_as_every_other_does(engine: Engine) -> None:
    """Debezium does not take Kafka Connect's clients for it."""
    plan = made(engine)
    config = source_of(plan).connector_config
    expected = plan.agents[0].spec.kafka.client_properties
    assert expected["sasl.mechanism"] == "AWS_MSK_IAM"
    for of in ("producer", "consumer"):
        prefix = f"{HISTORY}{of}."
        told = {k.removeprefix(prefix): v for k, v in config.items() if k.startswith(prefix)}
        assert {key: told[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("engine", "port", "tls"),
    [
        ("postgresql", 5432, ("database.sslmode", "require")),
        ("mysql", 3306, ("database.ssl.mode", "required")),
        ("mariadb", 3306, ("database.ssl.mode", "trust")),
    ],
)
def test_a_database_is_at_its_engines_port_by_tls(engine: Engine, port: int, tls: tuple[str, str]) -> None:
    declaration = on_aws() if engine == "postgresql" else of_engine(engine)
    plan = aws_plan(parsed(declaration))
    (source,) = plan.sources
    assert [each.port for each in plan.connect.databases] == [port]
    assert source.connector_config["database.port"] == str(port)
    assert source.connector_config[tls[0]] == tls[1]
    declaration["substrate"] = AWS | {"databases": [database("support") | {"port": 1234}]}
    assert [each.port for each in aws_plan(parsed(declaration)).connect.databases] == [1234]
