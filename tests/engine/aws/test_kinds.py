"""Each kind of resource of the stand-in for AWS, through the provider's own protocol.

What it says before, of and after a resource is what the engine's plans are made of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.aws.scene import REGION, scene
from tests.engine.aws.stage import Stage
from tests.standins.aws.catalogue import KINDS, RECORDED, RECORDED_BESIDE
from tests.standins.aws.forcing import FORCING
from tests.standins.place import Place
from tests.standins.plugins import Plugin, plugin
from tests.standins.servers import reset
from tests.standins.values import UNKNOWN, Values, known

PARTS = scene(Path("debezium.zip"))
UNCHANGED, CHANGED = 1, 2
"""The protocol's words for a diff."""


@pytest.fixture(scope="module")
def place(aws_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("place"), aws_endpoint=aws_endpoint)


@pytest.fixture(scope="module")
def provider(place: Place) -> Iterator[Plugin]:
    with plugin("aws", place) as started:
        started.configure(region=REGION)
        yield started


@pytest.fixture
def account(provider: Plugin, place: Place) -> Plugin:
    """A provider for an account in which there is nothing."""
    reset(place.aws_endpoint)
    place.record.unlink(missing_ok=True)
    return provider


@pytest.fixture
def stage(account: Plugin, tmp_path: Path) -> Stage:
    archive = tmp_path / "debezium.zip"
    archive.write_bytes(b"a plugin")
    return Stage(account, scene(archive))


def test_the_scene_has_every_kind_and_each_kind_is_listed() -> None:
    assert {part.type for part in PARTS.values()} == KINDS.keys()
    assert FORCING.keys() == KINDS.keys()
    assert {token for token, kind in KINDS.items() if kind.behind == "record"} == RECORDED
    assert {token: kind.beside for token, kind in KINDS.items() if kind.beside} == RECORDED_BESIDE


@pytest.mark.parametrize("token", sorted(KINDS))
def test_what_the_stand_in_says_of_a_kind_is_what_pulumi_aws_knows(token: str) -> None:
    kind = KINDS[token]
    assert set(kind.computed) <= kind.schema.outputs
    outer = {path.split(".")[0] for path in (*kind.nested, *FORCING[token])}
    assert outer <= kind.schema.inputs
    assert not kind.named or kind.named in kind.schema.inputs


@pytest.mark.parametrize("name", sorted(PARTS))
def test_a_resource_is_previewed_made_seen_changed_and_removed(stage: Stage, name: str) -> None:
    kind = KINDS[PARTS[name].type]
    inputs = stage.checked(name)

    made, expected = stage.provider.create(stage.urn(name), inputs, preview=True)
    assert made == ""
    assert {each for each, value in expected.items() if value == UNKNOWN} == set(kind.computed)

    found = stage.make(name)
    assert found.id
    assert known(found.state)
    assert set(kind.computed) <= found.state.keys()
    assert found.state.items() >= _without_nested(kind.nested, inputs).items()

    again = stage.checked(name)
    assert again == found.inputs, "a second check chooses what the first has chosen"
    same = stage.provider.diff(found.urn, found.id, found.state, found.inputs, again)
    assert same.changes == UNCHANGED
    assert stage.read(name) == (found.inputs, found.state)

    if PARTS[name].change:
        changed = stage.checked(name, **PARTS[name].change)
        diff = stage.provider.diff(found.urn, found.id, found.state, found.inputs, changed)
        assert diff.changes == CHANGED
        assert set(diff.diffs) == PARTS[name].change.keys()
        assert list(diff.replaces) == []
        found.state = stage.provider.update(found.urn, found.id, found.state, found.inputs, changed)
        found.inputs = changed
        assert found.state.items() >= _without_nested(kind.nested, changed).items()
        assert stage.read(name) == (changed, found.state)

    gone = stage.made[name]
    stage.remove(name)
    stage.provider.delete(gone.urn, gone.id, gone.inputs, gone.state)
    if kind.token not in ALWAYS_THERE:
        assert stage.provider.read(gone.urn, gone.id, gone.inputs, gone.state) is None


ALWAYS_THERE = {
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    "aws:kms/keyPolicy:KeyPolicy",
    "aws:s3/bucketVersioning:BucketVersioning",
    "aws:sns/topicPolicy:TopicPolicy",
}
"""What AWS has for whatever it belongs to, and only lets be changed."""


def _without_nested(nested: tuple[str, ...], inputs: Values) -> Values:
    outer = {path.split(".")[0] for path in nested}
    return {name: value for name, value in inputs.items() if name not in outer and name != "__defaults"}


@pytest.mark.parametrize(
    ("name", "change", "path"),
    [
        ("vpc", {"cidrBlock": "10.1.0.0/16"}, "cidrBlock"),
        ("subnet", {"availabilityZone": f"{REGION}c"}, "availabilityZone"),
        ("brokers", {"clusterName": "another"}, "clusterName"),
        ("events", {"replicationFactor": 1}, "replicationFactor"),
        ("connector", {"kafkaconnectVersion": "2.7.1"}, "kafkaconnectVersion"),
        ("images", {"name": "headrace/dev/other"}, "name"),
    ],
)
def test_what_can_not_change_in_place_replaces(stage: Stage, name: str, change: Values, path: str) -> None:
    found = stage.make(name)
    diff = stage.provider.diff(found.urn, found.id, found.state, found.inputs, stage.checked(name, **change))
    assert list(diff.replaces) == [path]


def test_a_name_that_a_person_chose_goes_before_it_comes_again(stage: Stage) -> None:
    topic, role = stage.make("events"), stage.make("role")
    change = stage.checked("events", replicationFactor=1)
    assert stage.provider.diff(topic.urn, topic.id, topic.state, topic.inputs, change).deleteBeforeReplace
    renamed = stage.checked("role") | {"path": "/other/"}
    own = stage.provider.diff(role.urn, role.id, role.state, role.inputs, renamed)
    assert list(own.replaces) == ["path"]
    assert not own.deleteBeforeReplace


def test_an_input_that_pulumi_aws_lacks_and_one_that_it_needs_are_named(account: Plugin) -> None:
    urn = "urn:pulumi:dev::headrace::aws:ec2/vpc:Vpc::vpc"
    _, failures = account.check(urn, {"cidrBlok": "10.0.0.0/16"})
    assert "aws:ec2/vpc:Vpc has no such input" in failures["cidrBlok"]
    urn = "urn:pulumi:dev::headrace::aws:kms/alias:Alias::alias"
    _, failures = account.check(urn, {})
    assert failures == {"targetKeyId": "aws:kms/alias:Alias needs it"}


@pytest.mark.parametrize(
    ("name", "instead", "refusal"),
    [
        ("events", {"clusterArn": f"arn:aws:kafka:{REGION}:123456789012:cluster/none/1"}, "no cluster"),
        ("access", {"clusterName": "none"}, "No cluster found"),
        ("connector", {"serviceExecutionRoleArn": "arn:aws:iam::1:role/none"}, "none"),
        ("plugin", {"location": {"s3": {"bucketArn": "arn:aws:s3:::none", "fileKey": "a"}}}, "404"),
    ],
)
def test_what_refers_to_nothing_is_refused(stage: Stage, name: str, instead: Values, refusal: str) -> None:
    inputs = stage.checked(name, **instead)
    with pytest.raises(Exception, match=refusal):
        stage.provider.create(stage.urn(name), inputs)


def test_two_of_one_name_are_refused(stage: Stage) -> None:
    for name in ("events", "connector", "brokers", "access"):
        found = stage.make(name)
        with pytest.raises(Exception, match=r"already"):
            stage.provider.create(found.urn, found.inputs)


def test_a_drift_behind_the_back_is_read(stage: Stage, cloud: Callable[[str], Any]) -> None:
    group, alarm = stage.make("logs"), stage.make("alarm")
    cloud("logs").put_retention_policy(logGroupName=group.id, retentionInDays=1)
    cloud("cloudwatch").delete_alarms(AlarmNames=[alarm.id])

    seen = stage.read("logs")
    assert seen is not None
    assert seen[0] == group.inputs | {"retentionInDays": 1}
    back = stage.provider.diff(group.urn, group.id, seen[1], seen[0], group.inputs)
    assert list(back.diffs) == ["retentionInDays"]
    assert stage.read("alarm") is None


def test_a_record_outlives_the_provider(stage: Stage, place: Place) -> None:
    topic = stage.make("events")
    with plugin("aws", place) as another:
        another.configure(region=REGION)
        assert another.read(topic.urn, topic.id, topic.inputs, topic.state) is not None


def test_outputs_have_the_form_of_aws(stage: Stage) -> None:
    arn = rf"arn:aws:{{}}:{REGION}:123456789012:{{}}"
    uuid = r"[0-9a-f-]{36}"
    forms = {
        ("brokers", "arn"): arn.format("kafka", rf"cluster/[\w-]+/{uuid}-1"),
        ("brokers", "bootstrapBrokersSaslIam"): (
            rf"(b-[12]\.[\w.-]+\.kafka\.{REGION}\.amazonaws\.com:9098,?){{2}}"
        ),
        ("events", "arn"): arn.format("kafka", rf"topic/[\w-]+/{uuid}-1/orders"),
        ("connector", "arn"): arn.format("kafkaconnect", rf"connector/orders/{uuid}-1"),
        ("cluster", "arn"): arn.format("eks", "cluster/headrace-dev"),
        ("cluster", "endpoint"): rf"https://\w+\.\w+\.{REGION}\.eks\.amazonaws\.com",
        ("role", "arn"): r"arn:aws:iam::123456789012:role/role-[0-9a-f]{7}",
        ("key", "arn"): arn.format("kms", rf"key/{uuid}"),
        ("bucket", "arn"): r"arn:aws:s3:::bucket-[0-9a-f]{7}",
        ("images", "repositoryUrl"): rf"123456789012\.dkr\.ecr\.{REGION}\.amazonaws\.com/headrace/dev/dev",
        ("workspace", "prometheusEndpoint"): rf"https://aps-workspaces\.{REGION}\.amazonaws\.com/.+/",
    }
    for (name, output), form in forms.items():
        assert re.fullmatch(form, stage.make(name).state[output]), (name, output)


def test_a_cluster_that_is_there_is_told_as_it_was_made(stage: Stage) -> None:
    function, made = "aws:eks/getCluster:getCluster", stage.make("cluster")
    told = stage.provider.invoke(function, name=made.id)
    for output in ("arn", "endpoint", "version", "status"):
        assert told[output] == made.state[output], output
    assert told["certificateAuthorities"] == [made.state["certificateAuthority"]]
    place = told["vpcConfig"]
    for output in ("clusterSecurityGroupId", "vpcId"):
        assert place[output] == made.state["vpcConfig"][output], output
    assert (place["endpointPrivateAccess"], place["endpointPublicAccess"]) == (True, False)
    assert told["computeConfigs"][0]["enabled"] is True
    assert told["accessConfigs"][0]["authenticationMode"] == "API"
    with pytest.raises(Exception, match="No cluster found"):
        stage.provider.invoke(function, name="none")


def test_functions_answer(account: Plugin) -> None:
    zones = account.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", state="available")
    assert zones["names"] == [f"{REGION}{letter}" for letter in "abc"]
    assert account.invoke("aws:index/getCallerIdentity:getCallerIdentity")["accountId"] == "123456789012"
    with pytest.raises(Exception, match="has no function"):
        account.invoke("aws:ec2/getAmi:getAmi")
