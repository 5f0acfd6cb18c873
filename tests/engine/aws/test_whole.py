"""Whole environments through the real engine: up, nothing to do, drift, interruption, and away again."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace.waiting import wait_until
from tests.engine.aws.cluster import enforce_policies
from tests.engine.aws.project import Declaration, Shipped, random_delays
from tests.engine.aws.scene import REGION
from tests.engine.aws.stage import made_before
from tests.pipeline.sizes import in_make_engine_alone
from tests.standins.aws.account import Account
from tests.standins.journal import Operation
from tests.standins.kubernetes.api import Api, of
from tests.standins.place import Place

RELEASE = "kubernetes:helm.sh/v3:Release"
JOB = "kubernetes:flink.apache.org/v1beta1:FlinkDeployment"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
CLUSTER, TOPIC = "aws:msk/cluster:Cluster", "aws:msk/topic:Topic"
ROLE, ROLE_POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
CONNECTOR, IDENTITY = (
    "aws:mskconnect/connector:Connector",
    "aws:eks/podIdentityAssociation:PodIdentityAssociation",
)
KUBERNETES, ATTACHMENT = "aws:eks/cluster:Cluster", "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
INSIDE = {"HEADRACE_INSIDE": "true"}
"""As on the runner, from which a private endpoint is reached."""
ENFORCED = "kubernetes:core/v1:ConfigMap prod-policies"
"""What is read of a cluster that is there: whether its network policies are enforced."""
SOME_OPERATIONS = 40
"""After so many an update is in its midst."""


@pytest.fixture
def dev(tmp_path: Path, cluster_place: Place, left: Callable[[], list[str]]) -> Shipped:
    return Shipped(tmp_path / "project", cluster_place, "dev")


@pytest.fixture
def account(cluster_place: Place) -> Account:
    """Of the cluster's place."""
    return Account(cluster_place.aws_endpoint, REGION, cluster_place.record)


def assert_nothing_is_left(account: Account, left: Callable[[], list[str]]) -> None:
    """Neither in moto, nor on record, nor in the cluster."""
    assert left() == []
    assert account.record.left() == []
    assert account.s3.list_buckets()["Buckets"] == []
    assert account.iam.list_roles()["Roles"] == []
    assert account.eks.list_clusters()["clusters"] == []
    assert account.kafka.list_clusters()["ClusterInfoList"] == []
    assert account.logs.describe_log_groups()["logGroups"] == []
    assert account.ecr.describe_repositories()["repositories"] == []
    vpcs = account.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["false"]}])["Vpcs"]
    assert vpcs == []


def test_development_comes_up_has_nothing_to_do_and_goes_to_nothing(
    dev: Shipped, account: Account, left: Callable[[], list[str]]
) -> None:
    dev.up()
    made = dev.made()
    assert len(made) > 100

    dev.forget()
    assert dev.preview() == {}
    dev.up()
    assert dev.done() == {}
    assert dev.made() == made

    dev.destroy()
    assert dev.made() == set()
    assert_nothing_is_left(account, left)


def test_production_comes_up_on_its_foundation_and_its_data_goes_in_two_steps_alone(
    tmp_path: Path, cluster_place: Place, account: Account, left: Callable[[], list[str]]
) -> None:
    prod = Shipped(tmp_path / "project", cluster_place, "prod")
    foundation = prod.beside("prod-foundation")
    foundation.up()
    prod.up(environment=INSIDE)
    made = prod.made()

    prod.forget()
    foundation.up()
    prod.up(environment=INSIDE)
    assert prod.done() == {}

    protected = {key for key, found in prod.resources().items() if found.get("protect")}
    kinds = {key.split()[0] for key in protected}
    assert kinds >= {"aws:s3/bucket:Bucket", CLUSTER, TOPIC, "aws:kms/key:Key"}
    refused = prod.destroy(check=False)
    assert refused.status != 0
    assert "protect" in refused.output
    assert prod.made() >= protected & made

    prod.declare("prod", _unprotected)
    prod.up(environment=INSIDE)
    foundation.up()
    prod.destroy(environment=INSIDE)
    foundation.destroy()
    assert prod.made() == set()
    assert_nothing_is_left(account, left)


def _unprotected(declaration: Declaration) -> None:
    declaration["substrate"]["protect"] = False


@in_make_engine_alone("a stack in a cluster that is there")
def test_in_a_cluster_that_is_there_both_stages_come_up_and_leave_it_as_it_was(
    tmp_path: Path, cluster_place: Place, account: Account, api: Api, left: Callable[[], list[str]]
) -> None:
    archive = tmp_path / "debezium.zip"
    archive.write_bytes(b"a plugin")
    subnets = ("subnet", "other-subnet", "third-subnet")
    there = made_before(cluster_place, archive, "vpc", *subnets, "cluster")
    enforce_policies(api)

    def theirs() -> Any:
        group = there["cluster"].state["vpcConfig"]["clusterSecurityGroupId"]
        return (
            account.record.left(),
            left(),
            account.eks.describe_cluster(name=there["cluster"].id)["cluster"],
            account.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"],
        )

    def in_it(declaration: Declaration) -> None:
        substrate = declaration["substrate"]
        substrate["cluster"] = {"existing": there["cluster"].id}
        substrate["network"] = {
            "vpc_id": there["vpc"].id,
            "private_subnet_ids": [there[name].id for name in subnets],
        }
        substrate["access"].pop("viewers")
        substrate["protect"] = False

    before = theirs()
    prod = Shipped(tmp_path / "project", cluster_place, "prod")
    prod.declare("prod", in_it)
    foundation = prod.beside("prod-foundation")
    asked = {key for key, what in prod.preview().items() if what != "create"}
    assert asked == {ENFORCED}, "before there is a foundation, from outside"
    foundation.up()
    prod.up(environment=INSIDE)
    made = prod.made()
    assert {key.split()[0] for key in made} & {KUBERNETES, JOB, RELEASE, BUDGET} == {JOB, RELEASE, BUDGET}

    prod.forget()
    foundation.up()
    prod.up(environment=INSIDE)
    assert prod.done() == {}
    assert prod.preview(INSIDE).keys() <= {ENFORCED, "pulumi:providers:kubernetes prod-kubernetes"}

    prod.destroy(environment=INSIDE)
    foundation.destroy()
    assert prod.made() == set()
    assert theirs() == before


@in_make_engine_alone("drift of a stack on AWS")
def test_a_drift_behind_the_back_is_seen_by_a_refresh_and_mended(
    dev: Shipped, account: Account, api: Api
) -> None:
    dev.up()
    made = dev.resources()
    alarm = next(key for key in made if key.startswith("aws:cloudwatch/metricAlarm"))
    account.cloudwatch.delete_alarms(AlarmNames=[made[alarm]["id"]])
    group = next(key for key in made if key.startswith("aws:cloudwatch/logGroup"))
    account.logs.put_retention_policy(logGroupName=made[group]["id"], retentionInDays=1)
    block = next(key for key in made if key.startswith("aws:s3/bucketPublicAccessBlock"))
    account.s3.delete_public_access_block(Bucket=made[block]["id"])
    budget = next(key for key in made if key.startswith(BUDGET))
    metadata = made[budget]["outputs"]["metadata"]
    there = of("PodDisruptionBudget", metadata["name"], "policy/v1", metadata["namespace"])
    api.delete(there)

    assert dev.preview() == {}, "without a refresh the engine believes its state"
    dev.refresh()
    assert dev.preview() == {alarm: "create", group: "update", block: "create", budget: "create"}
    dev.up()
    assert dev.preview() == {}
    assert api.get(there) is not None


@in_make_engine_alone("an interrupted update of a stack on AWS")
def test_an_interrupted_update_is_finished_by_the_next(
    dev: Shipped, account: Account, left: Callable[[], list[str]]
) -> None:
    running = subprocess.Popen(
        ["pulumi", "--non-interactive", "up", "--yes", "--skip-preview", "--stack", "dev"],
        cwd=dev.folder,
        env=dev.environment() | random_delays(1, 0.5),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until("the midst of an update", lambda: len(dev.operations()) > SOME_OPERATIONS, 300)
    os.kill(running.pid, signal.SIGINT)
    assert running.wait(300) != 0
    begun = dev.made()
    assert begun

    dev.up()
    assert dev.made() > begun
    assert dev.preview() == {}
    dev.destroy()
    assert_nothing_is_left(account, left)


@in_make_engine_alone("the order of a stack on AWS under random delays")
@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_holds_under_random_delays(dev: Shipped, seed: int) -> None:
    dev.up(environment=random_delays(seed, 1))
    made = [each for each in dev.operations() if each.op == "create"]
    _before(made, CLUSTER, TOPIC)
    _before(made, RELEASE, JOB)
    _before(made, TOPIC, JOB)
    _before(made, TOPIC, CONNECTOR)
    _before(made, IDENTITY, JOB, "-identity")
    _before(made, ROLE_POLICY, JOB, "-identity")
    _before(made, ROLE_POLICY, CONNECTOR, "-connector")
    roles = [each for each in made if each.type == ATTACHMENT and "-cluster" in each.name]
    (kubernetes,) = (each for each in made if each.type == KUBERNETES)
    assert roles
    assert all(each.end <= kubernetes.start for each in roles)

    dev.forget()
    dev.destroy()
    gone = [each for each in dev.operations() if each.op == "delete"]
    _before(gone, JOB, RELEASE)
    _before(gone, TOPIC, CLUSTER)
    _before(gone, CONNECTOR, TOPIC)


def _before(operations: list[Operation], first: str, then: str, own: str = "") -> None:
    """Each `first` had ended when a `then` began; with `own`, the one that is named as it with that end."""
    later = [each for each in operations if each.type == then]
    assert later, then
    for each in later:
        earlier = [
            other
            for other in operations
            if other.type == first and (not own or other.name == f"{each.name}{own}")
        ]
        assert earlier, (first, each.name)
        for other in earlier:
            assert other.end <= each.start, (other.type, other.name, each.type, each.name)


def test_no_known_secret_is_in_the_state_or_on_record(
    dev: Shipped, cluster_place: Place, account: Account
) -> None:
    secrets = {name: f"known-secret-of-{name.lower()}" for name in ("TRIAGE_KEY", "RISK_KEY", "PGPASSWORD")}
    done = dev.up(environment=secrets)
    kept: dict[str, Any] = {
        "state": "".join(
            file.read_text() for file in (dev.folder / "state").rglob("*.json*") if file.is_file()
        ),
        "record": cluster_place.record.read_text(),
        "operations": cluster_place.operations.read_text(),
        "output": done.output,
    }
    assert "${secretsmanager:" in kept["record"], "the database's password is a reference"
    for where, text in kept.items():
        for secret in (*secrets.values(), "a passphrase of a test"):
            assert secret not in text, where
