"""Rights to deploy: all that a stage makes and nothing that it does not, bound to the stack where IAM can."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from headrace.aws import SourceDatabase
from headrace.aws.deploy_rights import MADE, POLICY_CHARS, RIGHTS, STAGES, Whose, deploy_policies
from headrace.errors import HeadraceError
from tests.components.aws.cloud import ACCOUNT, REGION, kinds
from tests.components.aws.managed import foundation_of, stack_of
from tests.components.aws.test_alarms import alarms

EKS = f"arn:aws:eks:{REGION}:{ACCOUNT}"
WHOSE = Whose("prod", "prod", REGION, ACCOUNT)


def said(stage: str) -> list[dict[str, Any]]:
    return [each for text in deploy_policies(stage, WHOSE) for each in json.loads(text)["Statement"]]


def of_aws(*stacks: dict[str, Any]) -> set[str]:
    return {kind for stack in stacks for kind in kinds(stack) if kind.startswith("aws:")}


def test_the_foundations_rights_are_those_of_what_it_makes() -> None:
    assert of_aws(foundation_of("prod")) == MADE["foundation"]


def test_the_platforms_rights_are_those_of_what_it_makes() -> None:
    alarmed = of_aws(alarms("oncall@example.com"))
    assert of_aws(stack_of("prod")) | of_brokers() | alarmed == MADE["platform"]
    assert set(RIGHTS) == MADE["foundation"] | MADE["platform"]


def test_of_a_cluster_that_is_there_both_stages_may_know_and_none_may_change_or_delete_one() -> None:
    whose = dataclasses.replace(WHOSE, existing_cluster="shared")
    for stage in STAGES:
        texts = deploy_policies(stage, whose)
        assert all(len(text) <= POLICY_CHARS for text in texts)
        allowed = [each for text in texts for each in json.loads(text)["Statement"]]
        on_it = [each for each in allowed if each["Resource"] == [f"{EKS}:cluster/shared"]]
        assert [each["Action"] for each in on_it] == [["eks:DescribeCluster"]]
        actions = {action for each in allowed for action in each["Action"]}
        assert not actions & {"eks:CreateCluster", "eks:DeleteCluster", "eks:UpdateClusterConfig"}
    assert "eks:DeleteCluster" in {action for each in said("platform") for action in each["Action"]}
    assert not any("eks:" in action for each in said("foundation") for action in each["Action"])


def test_the_platform_alone_reads_the_secrets_of_databases_that_it_looks_at() -> None:
    database = SourceDatabase(
        host="db.example",
        port=5432,
        security_group_id="sg-db",
        secret_arn=f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:db-AbCdEf",
        secret_key_arn=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1",
    )
    # Two sources may share a server and a role's secret.
    whose = dataclasses.replace(WHOSE, databases=(database, database))

    def more(stage: str) -> list[dict[str, Any]]:
        allowed = [each for text in deploy_policies(stage, whose) for each in json.loads(text)["Statement"]]
        return [each for each in allowed if each not in said(stage)]

    assert more("foundation") == []
    reading, opening = more("platform")
    assert (reading["Action"], reading["Resource"]) == (
        ["secretsmanager:GetSecretValue"],
        [database.secret_arn],
    )
    assert (opening["Action"], opening["Resource"]) == (["kms:Decrypt"], [database.secret_key_arn])
    assert opening["Condition"] == {"StringLike": {"kms:ViaService": "secretsmanager.*.amazonaws.com"}}


def of_brokers() -> set[str]:
    """Of Standard brokers, whose disks grow by a policy."""
    return {kind for kind in of_aws(stack_of("dev")) if "appautoscaling" in kind}


@pytest.mark.parametrize("stage", STAGES)
def test_documents_fit_a_managed_policy(stage: str) -> None:
    assert all(len(text) <= POLICY_CHARS for text in deploy_policies(stage, WHOSE))
    longest = Whose("a" * 40, "a" * 40, "ap-southeast-10", ACCOUNT)
    assert all(len(text) <= POLICY_CHARS for text in deploy_policies(stage, longest))


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_allowed_on_everything_without_a_condition(stage: str) -> None:
    for statement in said(stage):
        assert statement["Effect"] == "Allow"
        assert not any(action == "*" or action.endswith(":*") for action in statement["Action"])
        if statement["Resource"] == ["*"]:
            assert statement["Condition"]["StringEquals"]["aws:RequestedRegion"] == REGION


@pytest.mark.parametrize("stage", STAGES)
def test_roles_and_buckets_are_the_stacks_own_and_roles_go_to_named_services(stage: str) -> None:
    for statement in said(stage):
        actions = {action.split(":")[0] for action in statement["Action"]}
        if actions == {"iam"} and "iam:CreateServiceLinkedRole" not in statement["Action"]:
            assert all(f":iam::{ACCOUNT}:" in arn and "/prod-*" in arn for arn in statement["Resource"])
        if actions == {"s3"}:
            assert all(arn.startswith("arn:aws:s3:::prod-*") for arn in statement["Resource"])
    (passing,) = (each for each in said(stage) if "iam:PassRole" in each["Action"])
    assert passing["Action"] == ["iam:PassRole"]
    assert passing["Condition"]["StringEquals"]["iam:PassedToService"]


@pytest.mark.parametrize("stage", STAGES)
def test_keys_are_those_with_the_environments_tag(stage: str) -> None:
    of_keys = [
        each
        for each in said(stage)
        if any(action.startswith("kms:") for action in each["Action"]) and "alias" not in each["Resource"][0]
    ]
    made, used, *listed = sorted(of_keys, key=lambda each: "kms:CreateKey" not in each["Action"])
    assert made["Condition"]["StringEquals"]["aws:RequestTag/environment"] == "prod"
    conditions = [each["Condition"]["StringEquals"] for each in (used, *listed)]
    assert {"aws:ResourceTag/environment": "prod"} in conditions


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(HeadraceError) as refused:
        deploy_policies("data", WHOSE)
    assert str(refused.value) == "policies: given stage 'data'; allowed: foundation, platform"
