"""IAM documents: who may take a role, and what it may do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

VERSION = "2012-10-17"
Statement = dict[str, Any]


def allow(
    actions: Sequence[str],
    resources: Sequence[pulumi.Input[str]],
    condition: Mapping[str, Any] | None = None,
) -> Statement:
    """One statement of a role's policy; `resources` name what it is about, never everything."""
    statement: Statement = {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return statement | ({"Condition": condition} if condition else {})


def document(*statements: Statement) -> pulumi.Output[str]:
    """A policy of statements, whose parts may be known only later."""
    return pulumi.Output.json_dumps({"Version": VERSION, "Statement": list(statements)})


def trust(
    service: str, account: pulumi.Input[str], actions: Sequence[str] = ("sts:AssumeRole",)
) -> pulumi.Output[str]:
    """`service` may take the role, and only on behalf of `account`: nobody else can have it do so."""
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": list(actions),
            "Condition": {"StringEquals": {"aws:SourceAccount": account}},
        }
    )


def account_of(arn: pulumi.Output[str]) -> pulumi.Output[str]:
    """The account in an ARN (``arn:partition:service:region:account:resource``)."""
    return arn.apply(lambda text: text.split(":")[4])
