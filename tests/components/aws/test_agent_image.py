"""The images' repository: tags never move, no image that a job may run goes, pods name digests."""

from __future__ import annotations

import json
from collections import Counter

import pulumi
import pytest

from headrace.aws import AgentImage, AgentImageArgs
from headrace.errors import HeadraceError
from tests.components.aws.cloud import TAGS, arn, assert_house_rules, built, inputs, kinds
from tests.components.recording import Registered

REPOSITORY, POLICY = "aws:ecr/repository:Repository", "aws:ecr/lifecyclePolicy:LifecyclePolicy"
KEY = "aws:kms/key:Key"
DIGEST = "sha256:" + "a" * 64


def images(protect: bool = True) -> Registered:
    return built(lambda: AgentImage("dev", AgentImageArgs(protect=protect, tags=TAGS)))


@pytest.mark.parametrize("protect", [True, False])
def test_exactly_these_resources(protect: bool) -> None:
    stack = images(protect)
    expected = Counter(["headrace:aws:AgentImage", KEY, "aws:kms/alias:Alias", REPOSITORY, POLICY])
    assert kinds(stack) == expected
    assert_house_rules(stack, "dev")


def test_a_tag_never_moves_and_what_is_pushed_is_scanned_and_encrypted() -> None:
    made = inputs(images(), REPOSITORY, "dev-agents")
    assert made["name"] == "headrace/dev/dev"
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    assert made["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": arn(KEY, "dev-agents")}]


def test_only_images_that_never_had_a_tag_go_by_age() -> None:
    (rule,) = json.loads(inputs(images(), POLICY, "dev-agents")["policy"])["rules"]
    assert rule["selection"] == {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 7,
    }


@pytest.mark.parametrize("protect", [True, False])
def test_images_go_with_the_stack_only_when_they_are_not_protected(protect: bool) -> None:
    stack = images(protect)
    protected = {key.split()[0] for key, found in stack.items() if found.get("protected")}
    assert protected == ({REPOSITORY, KEY} if protect else set())
    assert inputs(stack, REPOSITORY, "dev-agents")["forceDelete"] is not protect


def test_a_pod_names_the_digest() -> None:
    named: list[str] = []

    def program() -> pulumi.Output[None]:
        made = AgentImage("dev", AgentImageArgs(protect=True, tags=TAGS))
        return made.at(DIGEST).apply(named.append)

    built(program)
    assert named == [f"registry.example/dev-agents@{DIGEST}"]


@pytest.mark.parametrize("given", ["latest", "sha256:abc", f"agents@{DIGEST}"])
def test_a_tag_is_refused(given: str) -> None:
    refusals: list[str] = []

    def program() -> None:
        made = AgentImage("dev", AgentImageArgs(protect=True, tags=TAGS))
        with pytest.raises(HeadraceError) as refused:
            made.at(given)
        refusals.append(str(refused.value))

    built(program)
    assert refusals == [f"image: given {given!r}; allowed: a digest, sha256: and 64 hexadecimal digits"]
