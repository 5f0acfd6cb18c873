"""Secrets Manager: keys and rotation of secrets."""

from __future__ import annotations

from collections.abc import Iterator

from headrace_policies.rule import Declared, Rule
from headrace_policies.samples import KEY, TAGS
from headrace_policies.stacks import Case

SECRET = "aws:secretsmanager/secret:Secret"
ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
GOOD_SECRET = {"name": "orders-database", "id": "orders-database", "kmsKeyId": KEY, "tags": TAGS}


def _key(case: Case) -> Iterator[str]:
    node = case.at("kmsKeyId")
    if not node.is_set or node.text == "alias/aws/secretsmanager":
        yield node.fault(
            "the secret is encrypted with AWS's own key, which every principal of the account may use"
        )


def _rotation(case: Case) -> Iterator[str]:
    if not case.referring(ROTATION, "secretId"):
        yield f"secret {case.resource.name} has no SecretRotation whose `secretId` is its id"


RULES = (
    Rule(
        id="CKV_AWS_149",
        title="A secret is encrypted with a customer's key",
        severity="medium",
        governs=(SECRET,),
        decides=("kmsKeyId",),
        absent_is_fault=True,
        why="With a key of yours, reading a secret takes a second permission, which can be withdrawn.",
        fix="Set `kmsKeyId` to a key of yours.",
        judge=_key,
        fails=(Declared(SECRET, GOOD_SECRET | {"kmsKeyId": "alias/aws/secretsmanager"}),),
        passes=(Declared(SECRET, GOOD_SECRET),),
    ),
    Rule(
        id="SecretsManager.1",
        title="A secret is rotated",
        also=("nag-SMG4",),
        severity="medium",
        governs=(SECRET,),
        relates=(ROTATION,),
        decides=("secretId",),
        decides_in=1,
        absent_is_fault=True,
        why="A password that leaked is of use until it changes. Advisory: rotation breaks a running "
        "connector unless "
        "the connector reads its secret again.",
        fix="Declare a SecretRotation for secrets whose readers can take a new value.",
        judge=_rotation,
        advisory=True,
        fails=(Declared(SECRET, GOOD_SECRET),),
        passes=(
            Declared(SECRET, GOOD_SECRET),
            Declared(
                ROTATION,
                {"secretId": "orders-database", "rotationRules": {"scheduleExpression": "rate(30 days)"}},
            ),
        ),
    ),
)
