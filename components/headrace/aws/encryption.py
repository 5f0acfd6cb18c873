"""A key of one's own for what a component stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from headrace.aws.iam import Statement, account_of, document
from headrace.aws.tags import Tags

DELETION_DAYS = 30
"""Between the request to delete a key, which can be taken back, and its end; AWS allows 7 to 30."""


def key(
    name: str, what: str, tags: Tags, opts: pulumi.ResourceOptions, policy: pulumi.Input[str] | None = None
) -> aws.kms.Key:
    """A key with yearly rotation, and an alias to find it by.

    Without a `policy` the account's own IAM policies alone decide who may use it, which is KMS's default.
    """
    made = aws.kms.Key(
        name,
        description=what,
        enable_key_rotation=True,
        deletion_window_in_days=DELETION_DAYS,
        policy=policy,
        tags=tags.named(name),
        opts=opts,
    )
    aws.kms.Alias(name, target_key_id=made.key_id, opts=pulumi.ResourceOptions.merge(opts, _unprotected()))
    return made


def usable_by(
    name: str,
    made: aws.kms.Key,
    services: Sequence[str],
    opts: pulumi.ResourceOptions,
    condition: Mapping[str, Any] | None = None,
) -> aws.kms.KeyPolicy:
    """AWS's `services` may use the key too; IAM decides about everybody else.

    Without a `condition` they may on behalf of the key's own account alone.
    """
    account = account_of(made.arn)
    return _policy(
        name,
        made,
        {
            "Effect": "Allow",
            "Principal": {"Service": list(services)},
            "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*"],
            "Resource": "*",
            "Condition": condition or {"StringEquals": {"aws:SourceAccount": account}},
        },
        opts,
    )


def shared_with(
    name: str, made: aws.kms.Key, principals: Sequence[pulumi.Input[str]], opts: pulumi.ResourceOptions
) -> aws.kms.KeyPolicy:
    """These `principals` may store what is encrypted with the key, and read it; IAM decides about others."""
    return _policy(
        name,
        made,
        {
            "Effect": "Allow",
            "Principal": {"AWS": list(principals)},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
        },
        opts,
    )


def _policy(
    name: str, made: aws.kms.Key, statement: Statement, opts: pulumi.ResourceOptions
) -> aws.kms.KeyPolicy:
    """KMS's default, by which IAM decides, and one statement beside it."""
    return aws.kms.KeyPolicy(
        name,
        key_id=made.key_id,
        policy=document(
            {
                "Effect": "Allow",
                "Principal": {"AWS": pulumi.Output.concat("arn:aws:iam::", account_of(made.arn), ":root")},
                "Action": "kms:*",
                "Resource": "*",
            },
            statement,
        ),
        opts=opts,
    )


def _unprotected() -> pulumi.ResourceOptions:
    # An alias holds no data: it may go and come back.
    return pulumi.ResourceOptions(protect=False)
