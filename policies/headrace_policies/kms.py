"""KMS: rotation of keys, and who may decrypt with which."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from headrace_policies.iam import GRANTING, granted
from headrace_policies.iam import POLICY as IAM_POLICY
from headrace_policies.policy_documents import statements
from headrace_policies.remedies import always
from headrace_policies.rule import Declared, Rule
from headrace_policies.samples import KEY, ROLE, TAGS, document
from headrace_policies.stacks import Case

KEY_TYPE = "aws:kms/key:Key"
KEY_POLICY = "aws:kms/keyPolicy:KeyPolicy"
DECRYPTING = ("kms:decrypt", "kms:reencryptfrom")


def _decrypts_all(case: Case) -> Iterator[str]:
    for statement in granted(case):
        of_kms = [pattern for pattern in statement.actions if pattern.startswith("kms:")]
        decrypts = any(fnmatchcase(action, pattern) for action in DECRYPTING for pattern in of_kms)
        wide = [r for r in statement.resources if r == "*" or r.endswith((":key/*", ":alias/*"))]
        if decrypts and wide:
            yield f"`policy` allows {', '.join(of_kms)} on {', '.join(wide)}: every key of the account"


def _rotation(case: Case) -> Iterator[str]:
    # KMS rotates symmetric encryption keys alone.
    if case.at("customerMasterKeySpec").text not in ("", "SYMMETRIC_DEFAULT"):
        return
    if case.at("keyUsage").text not in ("", "ENCRYPT_DECRYPT"):
        return
    node = case.at("enableKeyRotation")
    if not node.is_true:
        yield node.fault("the key's material is never renewed; it has to be true")


def _public_key(case: Case) -> Iterator[str]:
    for statement in statements(case.at("policy")):
        if statement.allows and "*" in statement.principals and not statement.is_conditional:
            yield f'`policy` allows {", ".join(statement.actions)} to every principal ("*")'


def _key(**properties: object) -> tuple[Declared, ...]:
    return (
        Declared(KEY_TYPE, {"description": "orders", "enableKeyRotation": True, "tags": TAGS} | properties),
    )


def _policy(resource: str) -> tuple[Declared, ...]:
    return (
        Declared(
            IAM_POLICY,
            {"name": "orders", "policy": document(Action=["kms:Decrypt"], Resource=resource), "tags": TAGS},
        ),
    )


RULES = (
    Rule(
        id="KMS.1",
        title="No policy allows decryption with every key",
        also=("KMS.2",),
        severity="medium",
        governs=GRANTING,
        decides=("policy",),
        absent_is_fault=False,
        why="A key is there to separate those who may read from those who may not.",
        fix="Name the keys in `Resource`.",
        judge=_decrypts_all,
        fails=_policy("*"),
        passes=_policy(KEY),
    ),
    Rule(
        id="KMS.4",
        title="A key is rotated",
        also=("CKV_AWS_7", "nag-KMS5"),
        severity="medium",
        governs=(KEY_TYPE,),
        decides=("enableKeyRotation",),
        absent_is_fault=True,
        why="Rotation bounds how much one key's material protects, and needs no change by those who use it.",
        fix="Set `enableKeyRotation` to true.",
        judge=_rotation,
        remedy=always("enableKeyRotation", value=True),
        fails=_key(enableKeyRotation=False),
        passes=_key(),
    ),
    Rule(
        id="KMS.5",
        title="A key is not public",
        also=("CKV_AWS_33",),
        severity="critical",
        governs=(KEY_TYPE, KEY_POLICY),
        decides=("policy",),
        absent_is_fault=False,
        why="A key that everyone may use protects nothing.",
        fix="Name the principals, or bind the statement to a condition such as kms:CallerAccount.",
        judge=_public_key,
        fails=_key(policy=document(Principal="*", Action="kms:*", Resource="*")),
        passes=_key(policy=document(Principal={"AWS": ROLE}, Action="kms:*", Resource="*")),
    ),
)
