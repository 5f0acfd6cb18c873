"""Where a source is, and the secret that the capturing role logs in with: for connectors and deployers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from headrace.aws.iam import Statement, allow
from headrace.aws.tags import Tags
from headrace.environment.aws_parts import A_SECRET_ARN, SECRET_ARN
from headrace.errors import HeadraceError
from headrace.plan.aws.model import AwsPlan, DatabasePlan

SECRET_SUFFIX_CHARS = 7
"""What Secrets Manager adds to a name for its ARN: a dash and six characters."""


@dataclass(frozen=True, kw_only=True)
class SourceDatabase:
    """Where a source is, and the secret that holds its password under ``password``.

    Raises:
        HeadraceError: what is given as the secret is no secret's ARN.
    """

    host: pulumi.Input[str]
    port: pulumi.Input[int]
    security_group_id: pulumi.Input[str]
    secret_arn: str
    secret_key_arn: str
    """The key that it is encrypted with."""
    preflight: Literal["required", "skipped"] = "required"
    """Whether whoever brings the stack up looks at it before its connector, and drops its slot after it."""

    def __post_init__(self) -> None:
        if not re.fullmatch(SECRET_ARN, self.secret_arn):
            # What was given is not quoted: it may be the password.
            raise HeadraceError(
                f"database: what is given as secret_arn is no ARN of a secret; allowed: {A_SECRET_ARN}"
            )

    @property
    def secret_name(self) -> str:
        """Its name: in a reference of Kafka Connect's, colons separate, and an ARN has them too."""
        return self.secret_arn.rpartition(":")[2][:-SECRET_SUFFIX_CHARS]


def looked_at(databases: Iterable[SourceDatabase]) -> tuple[SourceDatabase, ...]:
    """Those that a deployer has to get to."""
    return tuple(each for each in databases if each.preflight == "required")


def databases_of(plan: AwsPlan) -> dict[str, SourceDatabase]:
    """By the source's name."""
    return {each.name: _database(each) for each in plan.connect.databases}


def _database(planned: DatabasePlan) -> SourceDatabase:
    return SourceDatabase(**planned.model_dump(exclude={"name"}))


def secret_rights(database: SourceDatabase) -> list[Statement]:
    """To read the one secret, and to decrypt with its key through Secrets Manager alone."""
    return [
        allow(["secretsmanager:GetSecretValue"], [database.secret_arn]),
        allow(
            ["kms:Decrypt"],
            [database.secret_key_arn],
            {"StringLike": {"kms:ViaService": "secretsmanager.*.amazonaws.com"}},
        ),
    ]


def to_database(
    name: str,
    group: aws.ec2.SecurityGroup,
    database: SourceDatabase,
    tags: Tags,
    opts: pulumi.ResourceOptions,
) -> aws.vpc.SecurityGroupEgressRule:
    """Whoever is in `group` gets to the database's port, and to nothing else of it."""
    return aws.vpc.SecurityGroupEgressRule(
        name,
        security_group_id=group.id,
        referenced_security_group_id=database.security_group_id,
        description="The source database",
        ip_protocol="tcp",
        from_port=database.port,
        to_port=database.port,
        tags=tags.named(name),
        opts=opts,
    )
