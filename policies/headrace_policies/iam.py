"""IAM: what policies grant, and who may take a role."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from headrace_policies.policy_documents import Statement, statements
from headrace_policies.rule import Declared, Option, Rule
from headrace_policies.samples import BUCKET, ROLE, TAGS, document
from headrace_policies.stacks import Case

POLICY = "aws:iam/policy:Policy"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
ROLE_TYPE = "aws:iam/role:Role"
GRANTING = (POLICY, ROLE_POLICY, ROLE_TYPE)
ESCALATING = (
    "iam:AddUserToGroup",
    "iam:AttachGroupPolicy",
    "iam:AttachRolePolicy",
    "iam:AttachUserPolicy",
    "iam:CreateAccessKey",
    "iam:CreateLoginProfile",
    "iam:CreatePolicyVersion",
    "iam:PassRole",
    "iam:PutGroupPolicy",
    "iam:PutRolePolicy",
    "iam:PutUserPolicy",
    "iam:SetDefaultPolicyVersion",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateLoginProfile",
)
"""Whoever may do one of these on every resource can become whoever they like."""
WITHOUT_RESOURCES = (
    "*:Describe*",
    "*:List*",
    "cloudwatch:GetMetric*",
    "cloudwatch:PutMetricData",
    "ec2:CreateNetworkInterface",
    "ecr:GetAuthorizationToken",
    "sts:GetCallerIdentity",
    "tag:GetResources",
    "xray:Put*",
)
"""Actions that IAM can't, or can't usefully, bind to single resources."""


def granted(case: Case) -> Iterator[Statement]:
    """What a policy resource, or a role by its inline policies, allows."""
    inline = [policy.at("policy") for policy in case.at("inlinePolicies").items]
    documents = inline if case.resource.kind == ROLE_TYPE else [case.at("policy")]
    return (statement for policy in documents for statement in statements(policy) if statement.allows)


def _says(statement: Statement, what: str) -> str:
    actions, resources = ", ".join(statement.actions), ", ".join(statement.resources)
    return f"`policy` allows {actions} on {resources}: {what}"


def _administrator(case: Case) -> Iterator[str]:
    for statement in granted(case):
        if "*" in statement.actions and statement.on_everything:
            yield _says(statement, "full administration")


def _service_wide(case: Case) -> Iterator[str]:
    for statement in granted(case):
        wide = [action for action in statement.actions if action.endswith(":*")]
        if wide:
            yield _says(statement, f"{', '.join(wide)} is everything that a service can do")


def _escalation(case: Case) -> Iterator[str]:
    for statement in granted(case):
        of_iam = [action for action in statement.actions if action.startswith("iam:")]
        found = [a for a in ESCALATING if any(fnmatchcase(a.lower(), pattern) for pattern in of_iam)]
        if found and statement.on_everything and not statement.is_conditional:
            yield _says(statement, f"{', '.join(found)} leads to any permission")


def _needless(case: Case) -> Iterator[str]:
    usual = [pattern.lower() for pattern in case.config["actionsWithoutResources"]]
    for statement in granted(case):
        if statement.on_everything and not statement.is_conditional:
            bound = [a for a in statement.actions if _is_bindable(a) and not _matches(a, usual)]
            if bound:
                yield _says(statement, f"{', '.join(bound)} can be bound to single resources")


def _is_bindable(action: str) -> bool:
    """Not what IAM.1, IAM.21, CKV_AWS_286 and KMS.1 judge themselves."""
    return ":" in action and not action.endswith(":*") and not action.startswith(("iam:", "kms:"))


def _matches(action: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(action, pattern) for pattern in patterns)


def _trust(case: Case) -> Iterator[str]:
    for statement in statements(case.at("assumeRolePolicy")):
        if not statement.allows or statement.is_conditional:
            continue
        federated = statement.node.at("Principal", "Federated")
        if "*" in statement.principals:
            yield '`assumeRolePolicy` lets every principal ("*") take the role'
        elif federated.is_set:
            yield (
                f"`assumeRolePolicy` lets everyone whom {federated.text} knows take the role: no "
                "condition names one"
            )


def _policy(**statement: object) -> tuple[Declared, ...]:
    return (Declared(POLICY, {"name": "orders", "policy": document(**statement), "tags": TAGS}),)


def _role(**statement: object) -> tuple[Declared, ...]:
    trust = document(Action="sts:AssumeRole", **statement)
    return (Declared(ROLE_TYPE, {"name": "orders", "assumeRolePolicy": trust, "tags": TAGS}),)


GOOD = _policy(Action=["s3:GetObject"], Resource=f"{BUCKET}/*")
NO_REMEDIATION = "No remediation: which permissions are needed is known to the program's author alone."


RULES = (
    Rule(
        id="IAM.1",
        title="No policy grants full administration",
        also=("CKV_AWS_62",),
        severity="critical",
        governs=GRANTING,
        decides=("policy",),
        absent_is_fault=False,
        why="Whoever gets hold of such credentials owns the account.",
        fix=f"List the actions and resources that are needed. {NO_REMEDIATION}",
        judge=_administrator,
        fails=_policy(Action="*", Resource="*"),
        passes=GOOD,
    ),
    Rule(
        id="IAM.21",
        title="No policy grants a whole service",
        also=("nag-IAM5",),
        severity="low",
        governs=GRANTING,
        decides=("policy",),
        absent_is_fault=False,
        why="`service:*` grows by itself with every action that the service gets.",
        fix=f"List the actions that are needed. {NO_REMEDIATION}",
        judge=_service_wide,
        fails=_policy(Action=["s3:*"], Resource=f"{BUCKET}/*"),
        passes=GOOD,
    ),
    Rule(
        id="CKV_AWS_60",
        title="A role's trust policy names who may take it",
        severity="high",
        governs=(ROLE_TYPE,),
        decides=("assumeRolePolicy",),
        absent_is_fault=False,
        why="A role that anyone may take gives anyone what it grants.",
        fix="Name the principal; bind a federated one to its subject by a condition.",
        judge=_trust,
        fails=_role(Principal={"AWS": "*"}),
        passes=_role(Principal={"Service": "pods.eks.amazonaws.com"}),
    ),
    Rule(
        id="CKV_AWS_286",
        title="No policy leads to privilege escalation",
        severity="high",
        governs=GRANTING,
        decides=("policy",),
        absent_is_fault=False,
        why="Some actions of IAM on every resource are as good as full administration.",
        fix=f"Bind these actions to the roles that are meant. {NO_REMEDIATION}",
        judge=_escalation,
        fails=_policy(Action=["iam:PassRole"], Resource="*"),
        passes=_policy(Action=["iam:PassRole"], Resource=ROLE),
    ),
    Rule(
        id="CKV_AWS_355",
        title="No policy grants on every resource what can be bound to single ones",
        severity="medium",
        governs=GRANTING,
        decides=("policy",),
        absent_is_fault=False,
        why="`Resource: *` reaches what others own in the same account, now and later.",
        fix=f"Name the resources. {NO_REMEDIATION}",
        judge=_needless,
        options={
            "actionsWithoutResources": Option(
                {"type": "array", "items": {"type": "string"}}, WITHOUT_RESOURCES
            ),
        },
        fails=_policy(Action=["s3:PutObject"], Resource="*"),
        passes=_policy(Action=["ec2:DescribeSubnets"], Resource="*"),
    ),
)
