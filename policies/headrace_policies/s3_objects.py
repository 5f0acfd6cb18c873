"""S3: what is kept of a bucket's objects, and how it is encrypted."""

from __future__ import annotations

from collections.abc import Iterator

from headrace_policies.checkpoint_paths import FLINK_DEPLOYMENT, locations
from headrace_policies.nodes import Node
from headrace_policies.rule import Declared, Rule
from headrace_policies.s3 import BUCKET_TYPE, ENCRYPTION, LIFECYCLE, LOGGING, VERSIONING, named, of_bucket
from headrace_policies.samples import KEY
from headrace_policies.stacks import Case


def _rules(case: Case) -> Iterator[Node]:
    for lifecycle in case.referring(LIFECYCLE, "bucket"):
        for rule in lifecycle.at("rules").items:
            if rule.at("status").text == "Enabled":
                yield rule


def _uploads(case: Case) -> Iterator[str]:
    days = ("abortIncompleteMultipartUpload", "daysAfterInitiation")
    if not any(rule.at(*days).is_set for rule in _rules(case)):
        yield f"`rules` of no BucketLifecycleConfiguration of {named(case)} sets {'.'.join(days)}"


def _versioning(case: Case) -> Iterator[str]:
    if any(place.bucket in case.resource.identities for place in locations(case.stack)):
        return
    found = case.referring(VERSIONING, "bucket")
    if not found:
        yield f"{named(case)} has no BucketVersioning"
    for versioning in found:
        node = versioning.at("versioningConfiguration", "status")
        if node.text != "Enabled":
            yield node.fault(f"what is overwritten or deleted in {named(case)} is gone; it has to be Enabled")


def _encryption(case: Case) -> Iterator[str]:
    found = case.referring(ENCRYPTION, "bucket")
    if not found:
        yield f"{named(case)} has no BucketServerSideEncryptionConfiguration"
    for encryption in found:
        rules = encryption.at("rules")
        algorithms = [rule.at("applyServerSideEncryptionByDefault", "sseAlgorithm") for rule in rules.items]
        if not algorithms:
            yield rules.fault(f"{named(case)} is not encrypted with KMS")
        for node in algorithms:
            if node.text == "AES256" and case.referring(LOGGING, "targetBucket"):
                continue
            if node.text not in ("aws:kms", "aws:kms:dsse"):
                yield node.fault(f"{named(case)} is not encrypted with KMS; it has to be aws:kms")


def _encrypted(algorithm: str) -> tuple[Declared, ...]:
    by_default = {"sseAlgorithm": algorithm, "kmsMasterKeyId": KEY}
    return of_bucket(ENCRYPTION, rules=[{"applyServerSideEncryptionByDefault": by_default}])


def _lifecycle(**rule: object) -> tuple[Declared, ...]:
    return of_bucket(LIFECYCLE, rules=[{"id": "uploads", "status": "Enabled"} | rule])


RULES = (
    Rule(
        id="S3.13",
        title="A bucket removes parts of uploads that were never finished",
        also=("CKV_AWS_300",),
        severity="low",
        governs=(BUCKET_TYPE,),
        relates=(LIFECYCLE,),
        decides=("rules", "0", "abortIncompleteMultipartUpload"),
        decides_in=1,
        absent_is_fault=True,
        why="Parts of uploads that a killed writer left are stored and paid for, and no listing shows them.",
        fix="Declare a BucketLifecycleConfiguration with an enabled rule that has "
        "`abortIncompleteMultipartUpload`.",
        judge=_uploads,
        fails=_lifecycle(expiration={"days": 30}),
        passes=_lifecycle(abortIncompleteMultipartUpload={"daysAfterInitiation": 7}),
    ),
    Rule(
        id="S3.14",
        title="A bucket keeps versions",
        severity="low",
        governs=(BUCKET_TYPE,),
        relates=(VERSIONING, FLINK_DEPLOYMENT),
        decides=("versioningConfiguration", "status"),
        decides_in=1,
        absent_is_fault=True,
        why="Versions undo a deletion. Not for a bucket of checkpoints, where Flink removes files all "
        "the time and no "
        "old version is ever of use: buckets that a FlinkDeployment names are left out.",
        fix="Declare a BucketVersioning with `versioningConfiguration.status` Enabled.",
        judge=_versioning,
        fails=of_bucket(VERSIONING, versioningConfiguration={"status": "Suspended"}),
        passes=of_bucket(VERSIONING, versioningConfiguration={"status": "Enabled"}),
    ),
    Rule(
        id="S3.17",
        title="A bucket is encrypted with KMS",
        severity="medium",
        governs=(BUCKET_TYPE,),
        relates=(ENCRYPTION, LOGGING),
        decides=("rules", "0", "applyServerSideEncryptionByDefault", "sseAlgorithm"),
        decides_in=1,
        absent_is_fault=True,
        why="With a key of KMS, reading an object takes two permissions, and use of the key is on record. "
        "A bucket that takes access logs has S3's own keys: S3 delivers to no other.",
        fix="Declare a BucketServerSideEncryptionConfiguration with `sseAlgorithm` aws:kms and a key.",
        judge=_encryption,
        fails=_encrypted("AES256"),
        passes=_encrypted("aws:kms"),
    ),
)
