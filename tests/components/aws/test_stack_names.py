"""Names of whole environments: two in one account meet in none, and long ones stay within AWS's limits."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.aws import Foundation
from headrace.aws.names import AUTONAME_CHARS
from headrace.environment.engines import ENGINES
from headrace.plan.aws import aws_plan
from tests.components.aws.cloud import built
from tests.components.aws.managed import managed, recorded, shipped
from tests.components.recording import Registered

NAMED_BY = {
    "aws:amp/scraper:Scraper": "alias",
    "aws:amp/workspace:Workspace": "alias",
    "aws:cloudwatch/dashboard:Dashboard": "dashboardName",
}
"""The property with the name, where it is another than ``name``; ``namePrefix`` and no name get an end."""
WITHIN_ITS_PARENT = (
    # In a cluster of the environment's own, or a workspace.
    "aws:msk/topic:", "kubernetes:", "aws:amp/ruleGroupNamespace:",
)  # fmt: skip
LIMITS = {
    "aws:amp/scraper:Scraper": 100,
    "aws:amp/workspace:Workspace": 100,
    "aws:appautoscaling/policy:Policy": 256,
    "aws:cloudwatch/dashboard:Dashboard": 255,
    "aws:cloudwatch/logGroup:LogGroup": 512,
    "aws:cloudwatch/metricAlarm:MetricAlarm": 255,
    "aws:codebuild/project:Project": 150,
    "aws:ec2/securityGroup:SecurityGroup": 255,
    "aws:ecr/repository:Repository": 256,
    "aws:eks/cluster:Cluster": 100,
    "aws:iam/policy:Policy": 128,
    "aws:iam/role:Role": 64,
    "aws:iam/rolePolicy:RolePolicy": 128,
    "aws:kms/alias:Alias": 256 - len("alias/"),
    "aws:msk/cluster:Cluster": 64,
    "aws:msk/configuration:Configuration": 64,
    "aws:msk/topic:Topic": 249,
    "aws:mskconnect/connector:Connector": 128,
    "aws:mskconnect/customPlugin:CustomPlugin": 128,
    "aws:mskconnect/workerConfiguration:WorkerConfiguration": 128,
    "aws:s3/bucket:Bucket": 63,
    "aws:sns/topic:Topic": 256,
    "aws:ssm/parameter:Parameter": 1_011,
}
"""Characters that a name of the type may have (each service's API reference)."""
LONGEST = "e" * (ENGINES["postgresql"].role_max_chars - len("headrace__support"))
"""The longest environment whose replication slot PostgreSQL takes."""


def fixed(stack: Registered) -> Iterator[tuple[str, str]]:
    """Type and name of what is named by us alone, without an end that the engine makes."""
    for key, found in stack.items():
        kind = key.split()[0]
        name = found["inputs"].get(NAMED_BY.get(kind, "name"))
        if kind.startswith("aws:") and name is not None:
            yield kind, name


def physical(stack: Registered) -> Iterator[tuple[str, str]]:
    named = set(fixed(stack))
    for key, found in stack.items():
        kind, logical = key.split(" ", 1)
        given = found["inputs"].get(NAMED_BY.get(kind, "name"))
        prefix = found["inputs"].get("namePrefix")
        if (kind, given) in named:
            yield kind, given
        elif prefix:
            yield kind, prefix + "0" * 26
        else:
            yield kind, logical + "0" * AUTONAME_CHARS


def test_two_environments_in_one_account_meet_in_no_name() -> None:
    of_account = [
        {(kind, name) for kind, name in fixed(recorded(each)) if not kind.startswith(WITHIN_ITS_PARENT)}
        for each in ("dev", "prod")
    ]
    dev, prod = of_account
    assert dev
    assert prod
    assert not dev & prod
    # What the engine completes begins with the environment's name.
    for each in ("dev", "prod"):
        assert all(key.split(" ", 1)[1].startswith(each) for key in recorded(each))


def test_names_of_a_long_environment_stay_within_the_limits() -> None:
    longest = shipped("prod").model_copy(update={"name": LONGEST})
    (agent, *others) = longest.agents
    longest = longest.model_copy(update={"agents": (agent.model_copy(update={"name": "a" * 45}), *others)})
    foundation = built(lambda: Foundation(LONGEST, aws_plan(longest)))
    stack = managed(longest) | foundation
    checked = set()
    for kind, name in physical(stack):
        if kind in LIMITS:
            checked.add(kind)
            assert len(name) <= LIMITS[kind], (kind, name)
    assert set(LIMITS) - checked <= {"aws:appautoscaling/policy:Policy"}
    for key, found in stack.items():
        assert len(found["inputs"].get("tags", {}).get("Name", "")) <= 256, key


def test_rights_of_a_role_fit_it_even_with_long_names() -> None:
    """IAM takes 10 240 characters of a role's own policies, white space aside."""
    longest = shipped("prod").model_copy(update={"name": LONGEST})
    policies = [
        found["inputs"]["policy"] for key, found in managed(longest).items() if "iam/rolePolicy:" in key
    ]
    assert policies
    assert all(len("".join(policy.split())) <= 10_240 for policy in policies)
