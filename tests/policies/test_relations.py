"""Rules that relate resources: by value, by dependency where the value isn't known yet, and not by chance."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headrace_policies import RULES
from headrace_policies.checkpoints import RULES as CHECKPOINTS
from headrace_policies.pack import DRY_RUN
from headrace_policies.rule import Declared
from tests.policies.analyzer import UNKNOWN, Analyzer, serving, urn

BUCKET = Declared("aws:s3/bucket:Bucket", {"tags": {}}, "orders")
VERSIONING_KIND = "aws:s3/bucketVersioning:BucketVersioning"


@pytest.fixture
def versioning() -> Iterator[Analyzer]:
    with serving([rule for rule in RULES if rule.id == "S3.14"]) as analyzer:
        yield analyzer


def enabled(bucket: str) -> Declared:
    properties = {"bucket": bucket, "versioningConfiguration": {"status": "Enabled"}}
    return Declared(VERSIONING_KIND, properties, "versioning")


def test_a_dependency_relates_what_is_not_known_yet(versioning: Analyzer) -> None:
    versioning.dependencies = {"versioning": {"bucket": [urn(BUCKET)]}}
    assert versioning.judge([BUCKET, enabled(UNKNOWN)]) == []


def test_a_setting_of_another_bucket_is_none_of_this_one(versioning: Analyzer) -> None:
    (said,) = versioning.judge([BUCKET, enabled("another")])
    assert "has no BucketVersioning" in said.message


def test_a_setting_of_an_unknown_bucket_leaves_it_open(
    versioning: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DRY_RUN, "unsaid")
    versioning.configure_stack(preview=True)
    (said,) = versioning.judge([BUCKET, enabled(UNKNOWN)])
    assert not said.mandatory
    assert "`versioning.bucket` is not known before the update" in said.message


@pytest.mark.parametrize("preview", [True, False])
def test_a_resource_whose_provider_cant_be_asked_yet_is_judged_by_what_was_asked_for_in_a_preview(
    versioning: Analyzer, monkeypatch: pytest.MonkeyPatch, preview: bool
) -> None:
    """Without that a deployment in a cluster that is to be made would name no bucket."""
    state = Declared("aws:s3/bucket:Bucket", {"bucket": "state", "tags": {}}, "state")
    configuration = {"execution.checkpointing.dir": "s3://state/orders"}
    job = Declared(
        "kubernetes:flink.apache.org/v1beta1:FlinkDeployment",
        {"spec": {"flinkConfiguration": configuration}},
        "job",
    )
    monkeypatch.setenv(DRY_RUN, "unsaid")
    versioning.configure_stack(preview=preview)
    assert versioning.judge([state, job]) == []
    versioning.unmade = frozenset({"job"})
    assert bool(versioning.judge([state, job])) is not preview


def test_types_of_the_provider_before_are_the_same_resources(versioning: Analyzer) -> None:
    old = Declared("aws:s3/bucketV2:BucketV2", {"bucket": "orders"})
    setting = Declared("aws:s3/bucketVersioningV2:BucketVersioningV2", enabled("orders").properties, "v")
    assert versioning.judge([old, setting]) == []
    (said,) = versioning.judge([old])
    assert said.rule == "S3.14"


CLEANING = {
    "everything": ({"expiration": {"days": 1}}, True),
    "another prefix": ({"filter": {"prefix": "exports/"}, "expiration": {"days": 1}}, False),
    "a folder above": ({"filter": {"prefix": "check"}, "expiration": {"days": 1}}, True),
    "a folder below": ({"filter": {"prefix": "checkpoints/orders/"}, "expiration": {"days": 1}}, True),
    "high availability": ({"filter": {"prefix": "ha/"}, "expiration": {"days": 1}}, True),
    "a colder class": ({"transitions": [{"days": 30, "storageClass": "GLACIER"}]}, True),
    "a date": ({"expiration": {"date": "2027-01-01"}}, True),
    "switched off": ({"status": "Disabled", "expiration": {"days": 1}}, False),
    "old versions": ({"noncurrentVersionExpiration": {"noncurrentDays": 1}}, False),
    "unfinished uploads": ({"abortIncompleteMultipartUpload": {"daysAfterInitiation": 1}}, False),
    "markers of deletions": ({"expiration": {"expiredObjectDeleteMarker": True}}, False),
}


@pytest.mark.parametrize(("rule", "destroys"), CLEANING.values(), ids=list(CLEANING))
def test_a_lifecycle_rule_is_refused_where_it_reaches_live_state(
    rule: dict[str, object], destroys: bool
) -> None:
    (ckpt,) = (rule for rule in CHECKPOINTS if rule.id == "HR-CKPT-1")
    lifecycle = Declared(
        ckpt.governs[0], {"bucket": "orders", "rules": [{"id": "r", "status": "Enabled"} | rule]}, "l"
    )
    elsewhere = Declared(lifecycle.kind, dict(lifecycle.properties) | {"bucket": "exports"}, "e")
    with serving([ckpt]) as pack:
        said = pack.judge([lifecycle, elsewhere, *ckpt.passes[1:]])
    assert {one.urn for one in said} == ({urn(lifecycle)} if destroys else set())


def test_an_agent_s_own_checkpoint_options_count_for_its_deployment() -> None:
    (rule,) = (rule for rule in CHECKPOINTS if rule.id == "HR-CKPT-2")
    deployment, bucket = rule.passes
    options = dict(deployment.properties["spec"]["flinkConfiguration"])
    interval = options.pop("execution.checkpointing.interval")
    spec = dict(deployment.properties["spec"]) | {"flinkConfiguration": options}
    bare = Declared(deployment.kind, dict(deployment.properties) | {"spec": spec})
    job = {
        "name": "orders",
        "entry_point": "orders.agent:Orders",
        "inputs": [],
        "outputs": {},
        "flink_configuration": {"execution.checkpointing.interval": interval},
    }
    with serving([rule]) as pack:
        assert len(pack.judge([bare, bucket])) == 1
        assert pack.judge([bare, bucket, Declared("headrace-local:index:AgentJob", {"spec": job}, "j")]) == []
