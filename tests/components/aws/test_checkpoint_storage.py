"""State storage: every bucket is closed, and nothing in the world removes a file of a live checkpoint."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from headrace.aws import CheckpointStorage, CheckpointStorageArgs
from headrace.environment.model import Savepoints
from headrace.errors import HeadraceError
from headrace.plan.model import BucketPlan
from headrace.plan.state_storage import state_storage
from tests.components.aws.cloud import (
    ACCOUNT,
    TAGS,
    arn,
    assert_house_rules,
    built,
    inputs,
    kinds,
    statements,
)
from tests.components.recording import Registered

PLANNED = state_storage(Savepoints()).value.buckets
STATE = {"checkpoints", "savepoints", "high-availability"}
BUCKETS = {f"dev-{name}" for name in STATE | {"artifacts", "access-logs"}}
BUCKET, POLICY = "aws:s3/bucket:Bucket", "aws:s3/bucketPolicy:BucketPolicy"
LIFE_CYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
KEY = "aws:kms/key:Key"


def storage(name: str = "dev", **changed: Any) -> Registered:
    args: dict[str, Any] = {
        "buckets": PLANNED,
        "protect": True,
        "access_log_days": 90,
        "tags": TAGS,
    } | changed
    return built(lambda: CheckpointStorage(name, CheckpointStorageArgs(**args)))


@pytest.mark.parametrize("protect", [True, False])
def test_exactly_these_resources(protect: bool) -> None:
    stack = storage(protect=protect)
    assert kinds(stack) == Counter(
        {
            "headrace:aws:CheckpointStorage": 1,
            "headrace:aws:SecureBucket": 5,
            KEY: 1,
            "aws:kms/alias:Alias": 1,
            BUCKET: 5,
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": 5,
            "aws:s3/bucketOwnershipControls:BucketOwnershipControls": 5,
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": 5,
            POLICY: 5,
            LIFE_CYCLE: 5,
            "aws:s3/bucketVersioning:BucketVersioning": 2,
            "aws:s3/bucketLogging:BucketLogging": 4,
        }
    )
    assert_house_rules(stack, "dev")


def test_nobody_outside_reaches_a_bucket() -> None:
    stack = storage()
    for bucket in BUCKETS:
        block = inputs(stack, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", bucket)
        assert block == {
            "bucket": bucket,
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        }
        owner = inputs(stack, "aws:s3/bucketOwnershipControls:BucketOwnershipControls", bucket)
        assert owner["rule"] == {"objectOwnership": "BucketOwnerEnforced"}


def test_only_tls_reaches_a_bucket_and_only_s3s_log_delivery_is_let_in() -> None:
    stack = storage()
    for bucket in BUCKETS:
        plain, old, *allowed = statements(inputs(stack, POLICY, bucket)["policy"])
        everything = [arn(BUCKET, bucket), f"{arn(BUCKET, bucket)}/*"]
        for denied in (plain, old):
            assert (denied["Effect"], denied["Action"], denied["Resource"]) == ("Deny", "s3:*", everything)
        assert plain["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert old["Condition"] == {"NumericLessThan": {"s3:TlsVersion": "1.2"}}
        if bucket != "dev-access-logs":
            assert allowed == []
            continue
        (delivery,) = allowed
        assert delivery["Principal"] == {"Service": "logging.s3.amazonaws.com"}
        assert delivery["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_state_is_encrypted_with_a_key_of_its_own_that_rotates() -> None:
    stack = storage()
    encryption = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    for bucket in BUCKETS - {"dev-access-logs"}:
        (rule,) = inputs(stack, encryption, bucket)["rules"]
        assert rule["applyServerSideEncryptionByDefault"] == {
            "sseAlgorithm": "aws:kms",
            "kmsMasterKeyId": arn(KEY, "dev-state"),
        }
        assert rule["bucketKeyEnabled"] is True
    (rule,) = inputs(stack, encryption, "dev-access-logs")["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}
    key = inputs(stack, KEY, "dev-state")
    assert (key["enableKeyRotation"], key["deletionWindowInDays"]) == (True, 30)
    assert "policy" not in key
    assert not any("keyPolicy" in kind for kind in kinds(stack))


def test_who_brings_artifacts_may_use_the_key_and_iam_decides_about_others() -> None:
    deployer = f"arn:aws:iam::{ACCOUNT}:role/deployer"
    policy = inputs(storage(deployers=[deployer]), "aws:kms/keyPolicy:KeyPolicy", "dev-state")["policy"]
    everybody, shared = statements(policy)
    assert everybody["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert shared["Principal"] == {"AWS": [deployer]}
    assert shared["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]


def test_age_removes_access_logs_and_nothing_else() -> None:
    stack = storage(access_log_days=7)
    for bucket in BUCKETS:
        uploads, *by_age = inputs(stack, LIFE_CYCLE, bucket)["rules"]
        assert uploads["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 1}
        assert "expiration" not in uploads
        assert [rule["expiration"] for rule in by_age] == ([{"days": 7}] if "logs" in bucket else [])
        assert all("transitions" not in rule for rule in (uploads, *by_age))
        assert [rule["noncurrentVersionExpiration"] for rule in by_age] == [{"noncurrentDays": 7}] * len(
            by_age
        )


def test_logs_are_delivered_to_a_bucket_that_lets_them_in() -> None:
    stack = storage()
    waiting = [found["depends_on"] for key, found in stack.items() if "bucketLogging" in key]
    assert all("dev-access-logs" in needs for needs in waiting)


def test_reads_and_writes_of_every_bucket_are_logged() -> None:
    stack = storage()
    logging = "aws:s3/bucketLogging:BucketLogging"
    logged = {key.split()[1]: found["inputs"] for key, found in stack.items() if key.startswith(logging)}
    assert logged.keys() == BUCKETS - {"dev-access-logs"}
    assert {each["targetBucket"] for each in logged.values()} == {"dev-access-logs"}
    assert {each["targetPrefix"] for each in logged.values()} == {f"{name}/" for name in logged}


def test_state_keeps_no_versions() -> None:
    versioning = "aws:s3/bucketVersioning:BucketVersioning"
    stack = storage()
    kept = [key.split()[1] for key in stack if key.startswith(versioning)]
    assert kept == ["dev-access-logs", "dev-artifacts"]


@pytest.mark.parametrize("protect", [True, False])
def test_data_and_its_key_go_only_when_they_are_not_protected(protect: bool) -> None:
    stack = storage(protect=protect)
    protected = {key for key, found in stack.items() if found.get("protected")}
    assert protected == (
        {f"{BUCKET} {name}" for name in BUCKETS} | {f"{KEY} dev-state"} if protect else set()
    )
    for bucket in BUCKETS:
        assert inputs(stack, BUCKET, bucket)["forceDestroy"] is not protect


def test_bucket_names_of_long_environments_fit_and_stay_apart() -> None:
    one, other = (
        {key.split()[1] for key in storage(name) if key.startswith(f"{BUCKET} ")}
        for name in ("a" * 60 + "-one", "a" * 60 + "-two")
    )
    assert all(len(name) <= 63 - 8 for name in one | other)
    assert len(one) == len(other) == 5
    assert not one & other


@pytest.mark.parametrize("bucket", sorted(STATE))
def test_state_that_goes_by_age_is_refused(bucket: str) -> None:
    aging = [
        each.model_copy(update={"expire_objects_days": 30}) if each.name == bucket else each
        for each in PLANNED
    ]
    with pytest.raises(HeadraceError) as refused:
        storage(buckets=aging)
    assert str(refused.value) == (
        f"state storage, bucket {bucket}: given objects that expire after 30 days; allowed: never, as a live "
        "checkpoint may refer to files of any age"
    )


@pytest.mark.parametrize(
    ("buckets", "given"),
    [
        ([], "none"),
        (PLANNED[:2], "checkpoints, savepoints"),
        (
            [*PLANNED, BucketPlan(name="other", expire_objects_days=None, abort_uploads_days=1)],
            "checkpoints, high-availability, other, savepoints",
        ),
    ],
)
def test_other_buckets_than_a_stack_has_are_refused(buckets: list[BucketPlan], given: str) -> None:
    with pytest.raises(HeadraceError) as refused:
        storage(buckets=buckets)
    assert str(refused.value) == (
        f"state storage: given buckets {given}; allowed: checkpoints, high-availability, savepoints, one each"
    )
