"""A change of each declared fact: what the engine would do, by its preview of a stack that is up.

One development environment is shared by all of them. `pytest --snapshot-update` writes the plans anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from tests.engine.aws.changes import CHANGES
from tests.engine.aws.cluster import clear, place_with
from tests.engine.aws.project import Shipped
from tests.pipeline.sizes import in_make_engine_alone
from tests.standins.kubernetes import definitions
from tests.standins.kubernetes.api import Api
from tests.standins.servers import ApiServer, reset

pytestmark = in_make_engine_alone("what a change of each fact does to a stack on AWS")

HOLDS_DATA = (
    "aws:ec2/subnet:Subnet",
    "aws:ec2/vpc:Vpc",
    "aws:ecr/repository:Repository",
    "aws:eks/cluster:Cluster",
    "aws:kms/key:Key",
    "aws:msk/cluster:Cluster",
    "aws:msk/topic:Topic",
    "aws:s3/bucket:Bucket",
)
"""Types of what holds data, encrypts it, or holds what holds it."""
IN_PLACE = {"create", "update"}
MOST_CHANGED = 30
"""Named one by one in a plan; of more, how many of each type."""


@pytest.fixture(scope="module")
def dev(
    tmp_path_factory: pytest.TempPathFactory, aws_endpoint: str, api_server: ApiServer
) -> Iterator[Shipped]:
    """The development environment, which is up."""
    reset(aws_endpoint)
    folder = tmp_path_factory.mktemp("dev")
    place = place_with(folder / "place", aws_endpoint, api_server)
    with closing(Api(place)) as api:
        for definition in definitions.of_eks():
            api.define(definition)
        project = Shipped(folder / "project", place, "dev")
        project.up()
        yield project
        clear(api)


@pytest.fixture
def shipped(dev: Shipped) -> Shipped:
    """With the declaration that is shipped."""
    dev.restore()
    return dev


def test_there_are_changes_enough() -> None:
    assert len(CHANGES) >= 25


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_change_does_what_it_has_to_and_replaces_nothing_that_holds_data(
    shipped: Shipped, change: str, snapshot: SnapshotAssertion
) -> None:
    shipped.declare("dev", CHANGES[change])

    plan = shipped.preview()

    lost = {each: op for each, op in plan.items() if each.startswith(HOLDS_DATA) and op not in IN_PLACE}
    if change == "an agent less":
        assert all(each.startswith("aws:msk/topic:Topic dev-order-risk") for each in lost)
        assert set(lost.values()) <= {"delete"}
    else:
        assert lost == {}
    assert plan
    assert _told(plan) == snapshot(extension_class=JSONSnapshotExtension)


def _told(plan: dict[str, str]) -> dict[str, object]:
    if len(plan) <= MOST_CHANGED:
        return dict(sorted(plan.items()))
    counted: dict[str, object] = {}
    for each, op in sorted(plan.items()):
        key = f"{each.split()[0]}: {op}"
        counted[key] = int(str(counted.get(key, 0))) + 1
    return counted


def test_an_agent_does_not_go_without_its_word(shipped: Shipped) -> None:
    shipped.declare("dev", lambda declaration: declaration["agents"].pop())
    refused = shipped.pulumi("preview", check=False)
    assert refused.status != 0
    assert "agents_removed: [order-risk]" in refused.output


def test_what_does_not_change_is_not_touched(shipped: Shipped) -> None:
    assert shipped.preview() == {}


def test_no_secret_is_in_the_state(shipped: Shipped) -> None:
    state = json.dumps(shipped.deployment())
    assert "secretsmanager:" in state, "the database's password is a reference"
    assert "database.password" in state
