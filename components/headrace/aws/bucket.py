"""A bucket as every bucket of a stack is."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from headrace.aws.iam import Statement, document
from headrace.aws.names import AUTONAME_CHARS, BUCKET_MAX, fitted
from headrace.aws.tags import Tags
from headrace.plan.state_storage import UPLOAD_DAYS

TLS_LEAST = "1.2"


@dataclass(frozen=True, kw_only=True)
class BucketRules:
    abort_uploads_days: int
    protect: bool
    tags: Tags
    key_arn: pulumi.Input[str] | None = None
    """``None``: with S3's own keys."""
    expire_days: int | None = None
    """Age at which objects go; ``None``: never."""
    versioned: bool = False
    access_logs: SecureBucket | None = None
    """Where its access logs go."""
    log_writer: pulumi.Input[str] | None = None
    """The account whose buckets' access logs are delivered here."""


class SecureBucket(pulumi.ComponentResource):
    """Private, encrypted, by TLS alone, without ACLs, and cleaned of uploads that never end."""

    def __init__(self, name: str, rules: BucketRules, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:aws:SecureBucket", name, None, opts)
        self._name, self._child = name, pulumi.ResourceOptions(parent=self)
        self.bucket = aws.s3.Bucket(
            # The engine adds what makes the name unique among all of AWS's customers.
            fitted(name, BUCKET_MAX - AUTONAME_CHARS),
            force_destroy=not rules.protect,
            tags=rules.tags.named(name),
            opts=pulumi.ResourceOptions(parent=self, protect=rules.protect),
        )
        self._closed()
        self._encrypted(rules.key_arn)
        self.policy = self._policy(rules.log_writer)
        self._life_cycle(rules)
        if rules.versioned:
            aws.s3.BucketVersioning(
                name,
                bucket=self.bucket.bucket,
                versioning_configuration={"status": "Enabled"},
                opts=self._child,
            )
        if rules.access_logs is not None:
            aws.s3.BucketLogging(
                name,
                bucket=self.bucket.bucket,
                target_bucket=rules.access_logs.bucket.bucket,
                target_prefix=f"{name}/",
                # S3 refuses a target that does not let it write yet.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[rules.access_logs.policy]),
            )
        self.register_outputs({"bucket": self.bucket.bucket, "arn": self.bucket.arn})

    def _closed(self) -> None:
        self._block = aws.s3.BucketPublicAccessBlock(
            self._name,
            bucket=self.bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )
        aws.s3.BucketOwnershipControls(
            self._name,
            bucket=self.bucket.bucket,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=self._child,
        )

    def _encrypted(self, key_arn: pulumi.Input[str] | None) -> None:
        by: aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgsDict
        by = {"sse_algorithm": "AES256"}
        if key_arn is not None:
            by = {"sse_algorithm": "aws:kms", "kms_master_key_id": key_arn}
        aws.s3.BucketServerSideEncryptionConfiguration(
            self._name,
            bucket=self.bucket.bucket,
            # A key of the bucket's own saves a call to KMS for each of a checkpoint's files.
            rules=[
                {"apply_server_side_encryption_by_default": by, "bucket_key_enabled": key_arn is not None}
            ],
            opts=self._child,
        )

    def _policy(self, log_writer: pulumi.Input[str] | None) -> aws.s3.BucketPolicy:
        arn = self.bucket.arn
        everything: list[pulumi.Input[str]] = [arn, pulumi.Output.concat(arn, "/*")]
        plain: Statement = {"Bool": {"aws:SecureTransport": "false"}}
        old: Statement = {"NumericLessThan": {"s3:TlsVersion": TLS_LEAST}}
        statements: list[Statement] = [
            {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": everything, "Condition": when}
            for when in (plain, old)
        ]
        if log_writer is not None:
            statements.append(
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "logging.s3.amazonaws.com"},
                    "Action": "s3:PutObject",
                    "Resource": everything[1],
                    "Condition": {"StringEquals": {"aws:SourceAccount": log_writer}},
                }
            )
        return aws.s3.BucketPolicy(
            self._name,
            bucket=self.bucket.bucket,
            policy=document(*statements),
            # S3 takes one change of a bucket's access at a time.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._block]),
        )

    def _life_cycle(self, rules: BucketRules) -> None:
        uploads: aws.s3.BucketLifecycleConfigurationRuleArgsDict = {
            "id": "unfinished-uploads",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "abort_incomplete_multipart_upload": {"days_after_initiation": rules.abort_uploads_days},
        }
        age: aws.s3.BucketLifecycleConfigurationRuleArgsDict = {
            "id": "age",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "expiration": {"days": rules.expire_days or 0},
        }
        if rules.versioned:
            age["noncurrent_version_expiration"] = {"noncurrent_days": rules.expire_days or 0}
        aws.s3.BucketLifecycleConfiguration(
            self._name,
            bucket=self.bucket.bucket,
            rules=[uploads, age] if rules.expire_days is not None else [uploads],
            opts=self._child,
        )


def access_log_bucket(
    name: str,
    account: pulumi.Input[str],
    days: int,
    tags: Tags,
    opts: pulumi.ResourceOptions,
    *,
    protect: bool,
) -> SecureBucket:
    """Where S3 delivers who read and wrote in other buckets of the account.

    S3 delivers to none with a key of one's own. What is removed before its age stays, as a version.
    """
    return SecureBucket(
        name,
        BucketRules(
            expire_days=days,
            abort_uploads_days=UPLOAD_DAYS,
            log_writer=account,
            versioned=True,
            protect=protect,
            tags=tags,
        ),
        opts,
    )
