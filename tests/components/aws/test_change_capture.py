"""Change capture: the plan's settings, rights to one source and its topics, and no password anywhere."""

from __future__ import annotations

import dataclasses
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from headrace.aws import ChangeCapture, ChangeCaptureArgs, ConnectorPlace, Plugin, SourceDatabase
from headrace.errors import HeadraceError
from headrace.plan.aws import aws_plan
from headrace.plan.model import BinlogSourcePlan, PostgresqlSourcePlan
from headrace.provider.aws.preflight import PreflightInputs
from headrace.provider.aws.slot import SlotInputs
from tests.components.aws.cloud import (
    ACCOUNT,
    REGION,
    TAGS,
    arn,
    assert_house_rules,
    built,
    inputs,
    kinds,
    statements,
)
from tests.components.aws.managed import sha256
from tests.components.aws.planned import planned
from tests.components.recording import Registered
from tests.unit.environment.binlog import of_engine
from tests.unit.environment.declarations import parsed

PLAN = planned()
(SOURCE,) = cast("tuple[PostgresqlSourcePlan]", PLAN.sources)
CONNECTOR, PLUGIN = "aws:mskconnect/connector:Connector", "aws:mskconnect/customPlugin:CustomPlugin"
PREFLIGHT, SLOT = "headrace-aws:index:Preflight", "headrace-aws:index:Slot"
NAME = f"dev-{SOURCE.name}"
KAFKA = f"arn:aws:kafka:{REGION}:{ACCOUNT}"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:dev/support-db-AbCdEf"
SECRET_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
DATABASE = SourceDatabase(
    host="db.example", port=5432, security_group_id="sg-db", secret_arn=SECRET, secret_key_arn=SECRET_KEY
)
OF_AWS = {"database.hostname", "database.port", "database.password"}
"""What the substrate adds to the plan's settings of a connector, or puts in their place."""


def plugin(archive: Path) -> Plugin:
    return Plugin(archive=archive, sha256=sha256(archive))


def arguments(archive: Path, **changed: Any) -> ChangeCaptureArgs:
    args: dict[str, Any] = {
        "sources": PLAN.sources,
        "databases": {SOURCE.name: DATABASE},
        "connect": PLAN.connect,
        "plugin": plugin(archive),
        "artifacts_bucket": "dev-artifacts",
        "artifacts_bucket_arn": "arn:aws:s3:::dev-artifacts",
        "place": ConnectorPlace(
            region=REGION,
            vpc_id="vpc-1",
            subnet_ids=["subnet-a", "subnet-b", "subnet-c"],
            cluster_arn=f"{KAFKA}:cluster/dev-kafka/uuid-1",
            bootstrap_servers="b-1.example:9098",
            kafka_client_security_group_id="sg-clients",
        ),
        "log_days": 30,
        "tags": TAGS,
    }
    return ChangeCaptureArgs(**args | changed)


def capture(archive: Path, **changed: Any) -> Registered:
    return built(lambda: ChangeCapture("dev", arguments(archive, **changed)))


def properties(text: str) -> Mapping[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


@pytest.mark.parametrize("more", [0, 2])
def test_exactly_these_resources(archive: Path, more: int) -> None:
    names = [f"other-{at}" for at in range(more)]
    sources = [SOURCE, *(SOURCE.model_copy(update={"name": each, "connector": each}) for each in names)]
    (capacity,) = PLAN.connect.connectors
    capacities = (capacity, *(capacity.model_copy(update={"name": each}) for each in names))
    stack = capture(
        archive,
        sources=sources,
        databases={source.name: DATABASE for source in sources},
        connect=PLAN.connect.model_copy(update={"connectors": capacities}),
    )
    each = len(sources)
    assert kinds(stack) == Counter(
        {
            "headrace:aws:ChangeCapture": 1,
            "headrace:aws:Connector": each,
            "aws:s3/bucketObjectv2:BucketObjectv2": 1,
            PLUGIN: 1,
            "aws:mskconnect/workerConfiguration:WorkerConfiguration": 1,
            "aws:cloudwatch/logGroup:LogGroup": 1,
            "aws:ec2/securityGroup:SecurityGroup": each,
            "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": 2 * each,
            "aws:iam/role:Role": each,
            "aws:iam/rolePolicy:RolePolicy": each,
            CONNECTOR: each,
            PREFLIGHT: each,
            SLOT: each,
        }
    )
    assert_house_rules(stack, "dev")


def test_a_connector_is_as_the_plan_says(archive: Path) -> None:
    made = inputs(capture(archive), CONNECTOR, NAME)
    told, planned_settings = made["connectorConfiguration"], SOURCE.connector_config
    assert told.keys() - planned_settings.keys() == {"database.password"}
    assert {key for key in planned_settings if told[key] != planned_settings[key]} <= OF_AWS
    assert (told["database.hostname"], told["database.port"]) == ("db.example", "5432")
    assert told["database.sslmode"] == "require"
    (capacity,) = PLAN.connect.connectors
    assert made["capacity"] == {
        "provisionedCapacity": {"mcuCount": capacity.mcu, "workerCount": capacity.workers}
    }


def test_the_workers_settings_are_the_plans_with_its_offsets_pinned(archive: Path) -> None:
    stack = capture(archive)
    kind = "aws:mskconnect/workerConfiguration:WorkerConfiguration"
    told = properties(inputs(stack, kind, "dev-connect")["propertiesFileContent"])
    region = {"config.providers.secretsmanager.param.region": REGION}
    assert told == PLAN.connect.worker_configuration | region
    assert told["offset.storage.topic"] == f"headrace-{PLAN.environment}-connect-offsets"
    assert told["exactly.once.source.support"] == "enabled"
    assert inputs(stack, CONNECTOR, NAME)["workerConfiguration"] == {
        "arn": arn(kind, "dev-connect"),
        "revision": 1,
    }


def test_the_password_is_a_reference(archive: Path) -> None:
    stack = capture(archive)
    told = inputs(stack, CONNECTOR, NAME)["connectorConfiguration"]
    assert told["database.password"] == "${secretsmanager:dev/support-db:password}"
    passwords = [key for key in told if "password" in key]
    assert passwords == ["database.password"]


def test_kafka_is_reached_by_iam_on_tls_alone_and_workers_are_logged(archive: Path) -> None:
    stack = capture(archive, log_days=7)
    made = inputs(stack, CONNECTOR, NAME)
    assert made["kafkaClusterClientAuthentication"] == {"authenticationType": "IAM"}
    assert made["kafkaClusterEncryptionInTransit"] == {"encryptionType": "TLS"}
    vpc = made["kafkaCluster"]["apacheKafkaCluster"]["vpc"]
    assert vpc["securityGroups"] == [f"{NAME}-connector", "sg-clients"]
    delivery = made["logDelivery"]["workerLogDelivery"]["cloudwatchLogs"]
    assert delivery == {"enabled": True, "logGroup": "dev-connect"}
    assert inputs(stack, "aws:cloudwatch/logGroup:LogGroup", "dev-connect")["retentionInDays"] == 7


def test_a_connector_goes_out_to_its_database_and_to_aws_and_nothing_comes_in(archive: Path) -> None:
    stack = capture(archive)
    kind = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
    database, aws = (inputs(stack, kind, f"{NAME}-{to}") for to in ("database", "aws"))
    assert (database["referencedSecurityGroupId"], database["fromPort"]) == ("sg-db", 5432)
    assert (aws["fromPort"], aws["toPort"]) == (443, 443)
    assert not any("IngressRule" in key for key in stack)


def test_a_role_may_what_its_source_needs_and_no_more(archive: Path) -> None:
    stack = capture(archive)
    (who,) = statements(inputs(stack, "aws:iam/role:Role", f"{NAME}-connector")["assumeRolePolicy"])
    assert who["Principal"] == {"Service": "kafkaconnect.amazonaws.com"}
    assert who["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    rights = statements(inputs(stack, "aws:iam/rolePolicy:RolePolicy", f"{NAME}-connector")["policy"])
    cluster, written, internal, _groups, transactions, secret, decryption = rights
    assert cluster["Resource"] == [f"{KAFKA}:cluster/dev-kafka/uuid-1"]
    topics = [*(table.topic for table in SOURCE.tables), f"__debezium-heartbeat.{SOURCE.name}"]
    assert written["Resource"] == [f"{KAFKA}:topic/dev-kafka/uuid-1/{topic}" for topic in topics]
    assert written["Action"] == ["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"]
    assert internal["Resource"] == [
        f"{KAFKA}:topic/dev-kafka/uuid-1/__amazon_msk_connect_*",
        f"{KAFKA}:topic/dev-kafka/uuid-1/headrace-{PLAN.environment}-connect-offsets",
    ]
    assert all(":transactional-id/dev-kafka/uuid-1/" in each for each in transactions["Resource"])
    assert (secret["Action"], secret["Resource"]) == (["secretsmanager:GetSecretValue"], [SECRET])
    assert (decryption["Action"], decryption["Resource"]) == (["kms:Decrypt"], [SECRET_KEY])
    for right in rights:
        assert "*" not in right["Resource"]
        assert not any(action.endswith("*") for action in right["Action"])


def test_another_plugin_is_another_file_and_resource_and_connectors_keep_their_names(
    archive: Path, tmp_path: Path
) -> None:
    other = tmp_path / "newer.zip"
    other.write_bytes(b"another plugin")
    one, two = capture(archive), capture(other)

    def named(stack: Registered, kind: str) -> set[str]:
        return {key.split()[1] for key in stack if key.startswith(f"{kind} ")}

    for kind in (PLUGIN, "aws:s3/bucketObjectv2:BucketObjectv2"):
        assert not named(one, kind) & named(two, kind)
    for stack, file in ((one, archive), (two, other)):
        made = inputs(stack, CONNECTOR, NAME)
        assert made["name"] == SOURCE.connector
        assert stack[f"{CONNECTOR} {NAME}"]["deleted_first"] is True
        (plugin_name,) = named(stack, PLUGIN)
        assert made["plugins"] == [{"customPlugin": {"arn": arn(PLUGIN, plugin_name), "revision": 1}}]
        location = inputs(stack, PLUGIN, plugin_name)["location"]["s3"]
        digest = sha256(file)
        assert location["fileKey"] == f"plugins/debezium-postgres-{digest[:12]}.zip"
        assert location["objectVersion"] == "version-1"
        upload = inputs(stack, "aws:s3/bucketObjectv2:BucketObjectv2", plugin_name)
        assert (upload["sourceHash"], upload["checksumAlgorithm"]) == (digest, "SHA256")


def test_a_connector_waits_for_its_rights(archive: Path) -> None:
    needs = capture(archive)[f"{CONNECTOR} {NAME}"]["depends_on"]
    assert {f"{NAME}-connector", "dev-connect"} <= set(needs)


def test_a_connector_comes_after_the_look_and_its_slot_and_goes_before_them(archive: Path) -> None:
    stack = capture(archive)
    assert {f"{NAME}-preflight", f"{NAME}-slot"} <= set(stack[f"{CONNECTOR} {NAME}"]["depends_on"])
    assert f"{NAME}-preflight" in stack[f"{SLOT} {NAME}-slot"]["depends_on"]


def test_the_look_is_told_the_plan_and_where_the_secret_is(archive: Path) -> None:
    told = inputs(capture(archive, client="sg-runner"), PREFLIGHT, f"{NAME}-preflight")
    # The SDK passes on no None.
    assert told.pop("source") == SOURCE.model_dump(mode="json", exclude_none=True)
    assert told == {
        "host": "db.example",
        "port": 5432,
        "sslmode": "require",
        "security_group_id": "sg-db",
        "client": "sg-runner",
        "secret_arn": SECRET,
        "declared": [SOURCE.slot],
    }
    PreflightInputs.model_validate({**told, "source": SOURCE})
    SlotInputs.model_validate(inputs(capture(archive), SLOT, f"{NAME}-slot"))


def test_a_database_whose_preflight_is_skipped_is_left_to_a_person(archive: Path) -> None:
    database = dataclasses.replace(DATABASE, preflight="skipped")
    stack = capture(archive, databases={SOURCE.name: database})
    assert not kinds(stack).keys() & {PREFLIGHT, SLOT}
    assert kinds(stack)[CONNECTOR] == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"databases": {}},
            "change capture: given no database for source support; allowed: one for each source",
        ),
        (
            {"connect": PLAN.connect.model_copy(update={"connectors": ()})},
            (
                f"change capture: given no capacity for connector {SOURCE.connector}; "
                "allowed: one for each source"
            ),
        ),
        (
            {"connect": PLAN.connect.model_copy(update={"worker_configuration": {}})},
            (
                "change capture: given no offset.storage.topic; allowed: a fixed one, as a new connector "
                "would start without the offsets of the one before it"
            ),
        ),
    ],
)
def test_refused(archive: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(HeadraceError) as refused:
        arguments(archive, **changed)
    assert str(refused.value) == message


def test_a_password_in_place_of_a_secret_is_refused_and_not_repeated() -> None:
    with pytest.raises(HeadraceError) as refused:
        SourceDatabase(
            host="db.example",
            port=5432,
            security_group_id="sg",
            secret_arn="hunter2",
            secret_key_arn=SECRET_KEY,
        )
    assert str(refused.value) == (
        "database: what is given as secret_arn is no ARN of a secret; "
        "allowed: arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-6RANDOM"
    )


def test_another_file_than_the_pinned_one_is_refused(archive: Path, tmp_path: Path) -> None:
    found, pinned = sha256(archive), "0" * 64
    refusals = {
        (archive, pinned): f"plugin: given {archive} with SHA-256 {found}; allowed: the pinned one, {pinned}",
        (archive, "latest"): "plugin: given checksum 'latest'; allowed: 64 hexadecimal digits",
        (tmp_path / "none.zip", pinned): (
            f"plugin: given {tmp_path / 'none.zip'}, which is not there; allowed: a zip file"
        ),
    }
    for (file, checksum), message in refusals.items():
        with pytest.raises(HeadraceError) as refused:
            Plugin(archive=file, sha256=checksum)
        assert str(refused.value) == message


@pytest.fixture
def binlog_plugin(tmp_path: Path) -> Path:
    """With MySQL's connector, and no other."""
    file = tmp_path / "debezium-mysql.zip"
    with zipfile.ZipFile(file, "w") as written:
        written.writestr("debezium-mysql/debezium-connector-mysql-1.jar", b"")
    return file


def of_mysql() -> tuple[BinlogSourcePlan, dict[str, Any]]:
    """A source, and what change capture is told of it."""
    plan = aws_plan(parsed(of_engine("mysql")))
    (source,) = plan.sources
    assert isinstance(source, BinlogSourcePlan)
    return source, {"sources": plan.sources, "connect": plan.connect}


def test_a_connector_of_a_binlog_finds_and_may_use_how_its_tables_looked(binlog_plugin: Path) -> None:
    source, changed = of_mysql()
    stack = capture(binlog_plugin, **changed)

    told = inputs(stack, CONNECTOR, f"dev-{source.name}")["connectorConfiguration"]
    assert told["schema.history.internal.kafka.bootstrap.servers"] == "b-1.example:9098"
    assert {key for key in source.connector_config if told[key] != source.connector_config[key]} <= {
        *OF_AWS,
        "schema.history.internal.kafka.bootstrap.servers",
    }
    rights = statements(inputs(stack, "aws:iam/rolePolicy:RolePolicy", f"{NAME}-connector")["policy"])
    (history,) = (
        each
        for each in rights
        if each["Resource"] == [f"{KAFKA}:topic/dev-kafka/uuid-1/{source.schema_history_topic}"]
    )
    assert history["Action"] == [
        "kafka-cluster:DescribeTopic",
        "kafka-cluster:DescribeTopicDynamicConfiguration",
        "kafka-cluster:ReadData",
        "kafka-cluster:WriteData",
    ]
    assert [f"{KAFKA}:group/dev-kafka/uuid-1/{source.schema_history_group}"] in [
        each["Resource"] for each in rights
    ]
    for right in rights:
        assert "*" not in right["Resource"]


def test_a_connector_of_a_slot_has_no_right_to_such_a_topic(archive: Path) -> None:
    rights = statements(
        inputs(capture(archive), "aws:iam/rolePolicy:RolePolicy", f"{NAME}-connector")["policy"]
    )
    assert not [each for right in rights for each in right["Resource"] if "schema-history" in each]


def test_a_plugin_without_the_connector_of_a_sources_engine_is_refused(archive: Path) -> None:
    _source, changed = of_mysql()
    with pytest.raises(HeadraceError) as refused:
        arguments(archive, **changed)
    assert str(refused.value) == (
        "change capture: given a plugin without debezium-mysql, and source support is mysql; allowed: one"
        " that `headrace plugin build --engine mysql` wrote"
    )
