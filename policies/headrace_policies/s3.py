"""S3: who reaches a bucket, and how. Its settings are resources of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from headrace_policies.policy_documents import Statement, statements
from headrace_policies.rule import Declared, Option, Rule
from headrace_policies.samples import BUCKET, ROLE, TAGS, document
from headrace_policies.stacks import Case

BUCKET_TYPE = "aws:s3/bucket:Bucket"
ACCESS_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
LOGGING = "aws:s3/bucketLogging:BucketLogging"
OWNERSHIP = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
ACL = "aws:s3/bucketAcl:BucketAcl"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
SENSITIVE = (
    "s3:DeleteBucketPolicy",
    "s3:PutBucketAcl",
    "s3:PutBucketPolicy",
    "s3:PutEncryptionConfiguration",
    "s3:PutObjectAcl",
)
"""Actions that AWS's control S3.6 names."""

GOOD_BUCKET = {"bucket": "orders", "tags": TAGS}
TLS_ONLY = document(
    Effect="Deny",
    Principal="*",
    Action="s3:*",
    Resource=[BUCKET, f"{BUCKET}/*"],
    Condition={"Bool": {"aws:SecureTransport": "false"}},
)


def of_bucket(kind: str, **properties: object) -> tuple[Declared, ...]:
    return Declared(BUCKET_TYPE, GOOD_BUCKET), Declared(kind, {"bucket": "orders"} | properties, "setting")


def named(case: Case) -> str:
    return f"bucket {case.resource.name}"


def _public(case: Case) -> Iterator[str]:
    blocks = case.referring(ACCESS_BLOCK, "bucket")
    if not blocks:
        yield f"{named(case)} has no BucketPublicAccessBlock"
    for block in blocks:
        for setting in BLOCKS:
            if not block.at(setting).is_true:
                yield block.at(setting).fault(f"{named(case)} can be made public; it has to be true")


def _tls(case: Case) -> Iterator[str]:
    policies = [policy.at("policy") for policy in case.referring(POLICY, "bucket")]
    if not any(_denies_clear_text(statement) for policy in policies for statement in statements(policy)):
        where = policies[0].path if policies else "policy"
        yield f"`{where}` of {named(case)} does not deny requests whose aws:SecureTransport is false"


def _denies_clear_text(statement: Statement) -> bool:
    refused = statement.node.at("Condition", "Bool", "aws:SecureTransport").texts
    everyone = "*" in statement.principals
    return not statement.allows and everyone and refused == ["false"] and statement.covers("s3:GetObject")


def _other_accounts(case: Case) -> Iterator[str]:
    own = set(case.config["ownAccounts"])
    for statement in statements(case.at("policy")):
        accounts = {found for text in statement.principals for found in re.findall(r"\d{12}", text)} - own
        granted = [action for action in SENSITIVE if statement.covers(action)]
        if statement.allows and accounts and granted:
            yield f"`policy` allows {', '.join(granted)} to account {', '.join(sorted(accounts))}"


def _access_logs(case: Case) -> Iterator[str]:
    if case.referring(LOGGING, "targetBucket") or case.referring(LOGGING, "bucket"):
        return
    yield case.at("logging").fault(f"{named(case)} has no BucketLogging, so nobody can tell who read what")


def _acls(case: Case) -> Iterator[str]:
    for controls in case.referring(OWNERSHIP, "bucket"):
        node = controls.at("rule", "objectOwnership")
        if node.is_set and node.text != "BucketOwnerEnforced":
            yield node.fault(f"ACLs of {named(case)} are in force; it has to be BucketOwnerEnforced")
    for acl in case.referring(ACL, "bucket"):
        node = acl.at("acl")
        if node.text != "private":
            yield node.fault(f"access to {named(case)} is given by an ACL; use a policy")


def _any_principal(case: Case) -> Iterator[str]:
    for statement in statements(case.at("policy")):
        if statement.allows and "*" in statement.principals and not statement.is_conditional:
            yield f'`policy` allows {", ".join(statement.actions)} to every principal ("*")'


def _with_policy(policy: str) -> tuple[Declared, ...]:
    return (Declared(POLICY, {"bucket": "orders", "policy": policy}),)


RULES = (
    Rule(
        id="S3.1",
        title="Public access to a bucket is blocked",
        also=("S3.8", "CKV_AWS_53", "CKV_AWS_54", "CKV_AWS_55", "CKV_AWS_56", "nag-S2"),
        severity="critical",
        governs=(BUCKET_TYPE,),
        relates=(ACCESS_BLOCK,),
        decides=("blockPublicPolicy",),
        decides_in=1,
        absent_is_fault=True,
        why="The four blocks hold whatever a policy or an ACL says later, by mistake or on purpose.",
        fix="Declare a BucketPublicAccessBlock for the bucket with all four settings true.",
        judge=_public,
        fails=of_bucket(ACCESS_BLOCK, **dict.fromkeys(BLOCKS, True) | {"blockPublicPolicy": False}),
        passes=of_bucket(ACCESS_BLOCK, **dict.fromkeys(BLOCKS, True)),
    ),
    Rule(
        id="S3.5",
        title="A bucket is reached by TLS only",
        also=("nag-S10",),
        severity="medium",
        governs=(BUCKET_TYPE,),
        relates=(POLICY,),
        decides=("policy",),
        decides_in=1,
        absent_is_fault=True,
        why="S3 answers clear-text requests unless a policy denies them.",
        fix="Declare a BucketPolicy that denies s3:* to everyone where aws:SecureTransport is false.",
        judge=_tls,
        fails=of_bucket(
            POLICY, policy=document(Principal={"AWS": ROLE}, Action="s3:GetObject", Resource=f"{BUCKET}/*")
        ),
        passes=of_bucket(POLICY, policy=TLS_ONLY),
    ),
    Rule(
        id="S3.6",
        title="Other accounts may not change who reaches a bucket",
        severity="high",
        governs=(POLICY,),
        decides=("policy",),
        absent_is_fault=False,
        why="An account that may change a bucket's policy, ACL or encryption owns its objects in effect.",
        fix="Take these actions from other accounts' statements, or add the account to `ownAccounts` "
        "if it is yours.",
        judge=_other_accounts,
        options={
            "ownAccounts": Option({"type": "array", "items": {"type": "string", "pattern": r"^\d{12}$"}}, ()),
        },
        fails=_with_policy(
            document(
                Principal={"AWS": "arn:aws:iam::444455556666:root"},
                Action="s3:PutBucketPolicy",
                Resource=BUCKET,
            )
        ),
        passes=_with_policy(
            document(
                Principal={"AWS": "arn:aws:iam::444455556666:root"},
                Action="s3:GetObject",
                Resource=f"{BUCKET}/*",
            )
        ),
    ),
    Rule(
        id="S3.9",
        title="Access to a bucket is logged",
        also=("nag-S1",),
        severity="medium",
        governs=(BUCKET_TYPE,),
        relates=(LOGGING,),
        decides=("bucket",),
        decides_in=1,
        absent_is_fault=True,
        why="Without access logs nobody can tell who read or removed an object. A bucket that takes "
        "logs needs none.",
        fix="Declare a BucketLogging for the bucket with another bucket as its target.",
        judge=_access_logs,
        fails=(Declared(BUCKET_TYPE, GOOD_BUCKET),),
        passes=of_bucket(LOGGING, targetBucket="orders-logs", targetPrefix="orders/"),
    ),
    Rule(
        id="S3.12",
        title="Access to a bucket is not given by ACLs",
        severity="medium",
        governs=(BUCKET_TYPE,),
        relates=(OWNERSHIP, ACL),
        decides=("rule", "objectOwnership"),
        decides_in=1,
        absent_is_fault=False,
        why="ACLs are per object and outside of every policy; S3's own default has switched them off "
        "since 2023.",
        fix="Set `rule.objectOwnership` of the BucketOwnershipControls to BucketOwnerEnforced; drop "
        "BucketAcl.",
        judge=_acls,
        fails=of_bucket(OWNERSHIP, rule={"objectOwnership": "ObjectWriter"}),
        passes=of_bucket(OWNERSHIP, rule={"objectOwnership": "BucketOwnerEnforced"}),
    ),
    Rule(
        id="CKV_AWS_70",
        title="A bucket's policy does not allow every principal",
        severity="critical",
        governs=(POLICY,),
        decides=("policy",),
        absent_is_fault=False,
        why='A statement that allows "*" makes what it allows public.',
        fix="Name the principals, or bind the statement to a condition such as aws:SourceVpce.",
        judge=_any_principal,
        fails=_with_policy(document(Principal="*", Action="s3:GetObject", Resource=f"{BUCKET}/*")),
        passes=_with_policy(document(Principal={"AWS": ROLE}, Action="s3:GetObject", Resource=f"{BUCKET}/*")),
    ),
)
