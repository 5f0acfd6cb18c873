"""The runner: private, encrypted, one at a time, and with the rights of the platform's stage and no more."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from typing import Any

import pulumi
import pytest
import yaml

from headrace.aws import Operations, OperationsArgs, SourceDatabase
from headrace.aws.deploy_rights import Whose, deploy_policies
from headrace.aws.operations import IMAGE, build_specification
from headrace.errors import HeadraceError
from tests.components.aws.cloud import (
    ACCOUNT,
    REGION,
    TAGS,
    arn,
    assert_house_rules,
    built,
    inputs,
    kinds,
    statements,
)
from tests.components.recording import Registered

PROJECT, BUCKET, KEY = "aws:codebuild/project:Project", "aws:s3/bucket:Bucket", "aws:kms/key:Key"
GROUP = "aws:cloudwatch/logGroup:LogGroup"
PLATFORM = deploy_policies("platform", Whose("dev", TAGS.environment, REGION, ACCOUNT))


def arguments(**changed: Any) -> OperationsArgs:
    args: dict[str, Any] = {
        "region": REGION,
        "vpc_id": "vpc-1",
        "subnet_ids": ["subnet-a", "subnet-b"],
        "protect": True,
        "log_days": 30,
        "tags": TAGS,
    }
    return OperationsArgs(**args | changed)


def operations(name: str = "dev", **changed: Any) -> Registered:
    return built(lambda: Operations(name, arguments(**changed)))


@pytest.mark.parametrize("changed", [{}, {"protect": False}, {"subnet_ids": ["subnet-a"]}])
def test_exactly_these_resources(changed: dict[str, Any]) -> None:
    stack = operations(**changed)
    assert kinds(stack) == Counter(
        {
            "headrace:aws:Operations": 1,
            "headrace:aws:SecureBucket": 2,
            KEY: 1,
            "aws:kms/alias:Alias": 1,
            "aws:kms/keyPolicy:KeyPolicy": 1,
            BUCKET: 2,
            "aws:s3/bucketLogging:BucketLogging": 1,
            "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": 2,
            "aws:s3/bucketOwnershipControls:BucketOwnershipControls": 2,
            "aws:s3/bucketPolicy:BucketPolicy": 2,
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": 2,
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": 2,
            "aws:s3/bucketVersioning:BucketVersioning": 2,
            GROUP: 1,
            "aws:iam/role:Role": 1,
            "aws:iam/rolePolicy:RolePolicy": 1,
            "aws:iam/policy:Policy": len(PLATFORM),
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment": len(PLATFORM),
            "aws:ec2/securityGroup:SecurityGroup": 1,
            "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": 1,
            PROJECT: 1,
        }
    )
    assert_house_rules(stack, "dev")


def test_it_runs_in_private_subnets_and_nothing_comes_in() -> None:
    stack = operations()
    assert inputs(stack, PROJECT, "dev-runner")["vpcConfig"] == {
        "vpcId": "vpc-1",
        "subnets": ["subnet-a", "subnet-b"],
        "securityGroupIds": ["dev-runner"],
    }
    assert not any("IngressRule" in key for key in stack)
    way_out = inputs(stack, "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "dev-runner")
    assert (way_out["ipProtocol"], way_out["fromPort"], way_out["toPort"]) == ("tcp", 443, 443)


def database(name: str, preflight: Any = "required") -> SourceDatabase:
    return SourceDatabase(
        host=f"{name}.db.example",
        port=5433,
        security_group_id=f"sg-{name}",
        secret_arn=f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-AbCdEf",
        secret_key_arn=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}",
        preflight=preflight,
    )


def test_it_gets_to_the_databases_that_are_looked_at_and_may_read_their_secrets_alone() -> None:
    databases = {"support": database("support"), "shop": database("shop", "skipped")}
    stack = operations(databases=databases)
    rules = {key.split()[1]: each["inputs"] for key, each in stack.items() if "EgressRule" in key}
    assert rules.keys() == {"dev-runner", "dev-runner-support"}
    rule = rules["dev-runner-support"]
    assert (rule["securityGroupId"], rule["referencedSecurityGroupId"]) == ("dev-runner", "sg-support")
    assert (rule["fromPort"], rule["toPort"], rule["ipProtocol"]) == (5433, 5433, "tcp")

    allowed = [
        each
        for key, resource in stack.items()
        if key.startswith(("aws:iam/policy:Policy", "aws:iam/rolePolicy:RolePolicy"))
        for each in statements(resource["inputs"]["policy"])
    ]
    (reading,) = (each for each in allowed if "secretsmanager:GetSecretValue" in each["Action"])
    assert reading["Resource"] == [databases["support"].secret_arn]
    (opening,) = (each for each in allowed if each["Resource"] == [databases["support"].secret_key_arn])
    assert opening["Action"] == ["kms:Decrypt"]
    assert opening["Condition"] == {"StringLike": {"kms:ViaService": "secretsmanager.*.amazonaws.com"}}
    assert databases["shop"].secret_key_arn not in json.dumps(allowed)


def test_what_it_stores_and_says_is_encrypted_with_its_key() -> None:
    stack, key = operations(log_days=7), arn(KEY, "dev-runner")
    project = inputs(stack, PROJECT, "dev-runner")
    assert project["encryptionKey"] == key
    assert project["logsConfig"] == {
        "cloudwatchLogs": {"status": "ENABLED", "groupName": "dev-runner"},
        "s3Logs": {"status": "DISABLED"},
    }
    group = inputs(stack, GROUP, "dev-runner")
    assert (group["kmsKeyId"], group["retentionInDays"]) == (key, 7)
    kind = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    (rule,) = inputs(stack, kind, "dev-runner")["rules"]
    assert rule["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"] == key
    _, logs = statements(inputs(stack, "aws:kms/keyPolicy:KeyPolicy", "dev-runner")["policy"])
    assert logs["Principal"] == {"Service": [f"logs.{REGION}.amazonaws.com"]}
    assert logs["Condition"] == {
        "ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:*"}
    }


def test_it_is_private_unprivileged_and_the_only_one_that_writes_the_state() -> None:
    project = inputs(operations(), PROJECT, "dev-runner")
    assert project["concurrentBuildLimit"] == 1
    assert project["projectVisibility"] == "PRIVATE"
    assert project["environment"]["privilegedMode"] is False
    assert project["artifacts"] == {"type": "NO_ARTIFACTS"}
    assert project["source"]["location"] == "dev-runner/program.zip"
    variables = {each["name"]: each["value"] for each in project["environment"]["environmentVariables"]}
    assert variables == {
        "HEADRACE_STEP": "preview",
        "HEADRACE_STACK": TAGS.environment,
        "PULUMI_BACKEND_URL": f"s3://dev-runner/state?region={REGION}",
        "PULUMI_SKIP_CONFIRMATIONS": "true",
        "HEADRACE_INSIDE": "true",
    }


def test_codebuild_alone_takes_the_role_on_behalf_of_this_account() -> None:
    (who,) = statements(inputs(operations(), "aws:iam/role:Role", "dev-runner")["assumeRolePolicy"])
    assert who["Principal"] == {"Service": "codebuild.amazonaws.com"}
    assert who["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_the_role_has_the_platforms_rights_and_those_of_a_build() -> None:
    stack = operations()
    attached = [
        inputs(stack, "aws:iam/policy:Policy", f"dev-runner-platform-{at}")["policy"]
        for at in range(len(PLATFORM))
    ]
    assert tuple(attached) == PLATFORM
    own = statements(inputs(stack, "aws:iam/rolePolicy:RolePolicy", "dev-runner")["policy"])
    everywhere = [each for each in own if each["Resource"] == ["*"]]
    assert [each["Action"] for each in everywhere] == [
        ["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:Describe*"]
    ]
    assert everywhere[0]["Condition"] == {"StringEquals": {"aws:RequestedRegion": REGION}}
    (permission,) = (each for each in own if each["Action"] == ["ec2:CreateNetworkInterfacePermission"])
    assert permission["Condition"]["ArnEquals"]["ec2:Subnet"] == [
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:subnet/{subnet}" for subnet in ("subnet-a", "subnet-b")
    ]
    (written,) = (each["Resource"] for each in own if "s3:PutObject" in each["Action"])
    assert written == [arn(BUCKET, "dev-runner") + "/state/*"]
    assert len(stack[f"{PROJECT} dev-runner"]["depends_on"]) >= 1 + len(PLATFORM)


def test_the_policies_that_ci_needs_are_outputs() -> None:
    found: dict[str, Any] = {}

    def program() -> pulumi.Output[None]:
        return pulumi.Output.from_input(Operations("dev", arguments()).policies).apply(found.update)

    built(program)
    whose = Whose("dev", TAGS.environment, REGION, ACCOUNT)
    assert found["foundation"] == list(deploy_policies("foundation", whose))
    assert found["platform"] == list(PLATFORM)
    (runner,) = found["runner"]
    start, bring, *_ = statements(runner)
    assert (start["Action"], start["Resource"]) == (
        ["codebuild:BatchGetBuilds", "codebuild:StartBuild", "codebuild:StopBuild"],
        [arn(PROJECT, "dev-runner")],
    )
    assert bring["Resource"] == [arn(BUCKET, "dev-runner") + "/program.zip"]
    assert not any("*" in action for each in statements(runner) for action in each["Action"])


@pytest.mark.parametrize("protect", [True, False])
def test_the_state_and_its_key_go_only_when_they_are_not_protected(protect: bool) -> None:
    stack = operations(protect=protect)
    protected = {key.split()[0] for key, found in stack.items() if found.get("protected")}
    assert protected == ({BUCKET, KEY} if protect else set())


@pytest.mark.parametrize("step", ["preview", "up", "refresh", "destroy", "up --yes; id", ""])
def test_a_build_takes_a_known_step_and_no_other(step: str) -> None:
    check, *_ = yaml.safe_load(build_specification(IMAGE))["phases"]["build"]["commands"]
    done = subprocess.run(
        ["sh", "-c", check], env={"HEADRACE_STEP": step}, capture_output=True, text=True, check=False
    )
    if step.isalpha():
        assert (done.returncode, done.stdout) == (0, "")
    else:
        assert done.returncode == 1
        assert done.stdout == f"HEADRACE_STEP: given {step}; allowed: preview|up|refresh|destroy\n"


def test_only_codebuilds_own_image_is_asked_for_runtimes() -> None:
    own, other = (
        yaml.safe_load(inputs(operations(image=image), PROJECT, "dev-runner")["source"]["buildspec"])
        for image in (IMAGE, "runners/headrace:1")
    )
    asked = {"python": "3.11", "java": "corretto17", "golang": "1.22"}
    assert own["phases"]["install"] == {"runtime-versions": asked, "commands": ["make setup"]}
    assert other["phases"]["install"] == {"commands": ["make setup"]}


def test_names_of_long_environments_fit() -> None:
    stack = operations("a" * 150)
    for kind, most in {"aws:iam/role:Role": 64, "aws:iam/policy:Policy": 128, BUCKET: 63}.items():
        names = [key.split()[1] for key in stack if key.startswith(f"{kind} ")]
        assert names
        assert all(len(name) <= most - 8 for name in names)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"subnet_ids": []}, "operations: given no subnets; allowed: one or more private ones"),
        (
            {"image": " "},
            f"operations: given no image; allowed: one of CodeBuild's, such as {IMAGE}",
        ),
    ],
)
def test_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(HeadraceError) as refused:
        arguments(**changed)
    assert str(refused.value) == message


def test_documents_are_json_within_the_limit_of_a_managed_policy() -> None:
    for document in PLATFORM:
        assert json.loads(document)["Version"] == "2012-10-17"
        assert len(document) <= 6_144
