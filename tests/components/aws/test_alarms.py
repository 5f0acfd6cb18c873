"""The alarms' topic: encrypted, and nobody but alarms of its own account writes to it."""

from __future__ import annotations

from collections import Counter

import pytest

from headrace.aws import Alarms, AlarmsArgs
from headrace.errors import HeadraceError
from tests.components.aws.cloud import (
    ACCOUNT,
    TAGS,
    arn,
    assert_house_rules,
    built,
    inputs,
    kinds,
    statements,
)
from tests.components.recording import Registered

TOPIC, KEY = "aws:sns/topic:Topic", "aws:kms/key:Key"
SENDERS = {"Service": ["aps.amazonaws.com", "cloudwatch.amazonaws.com"]}
OWN = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def alarms(*emails: str) -> Registered:
    return built(lambda: Alarms("dev", AlarmsArgs(emails=emails, tags=TAGS)))


@pytest.mark.parametrize("emails", [(), ("oncall@example.com", "lead@example.com")])
def test_exactly_these_resources(emails: tuple[str, ...]) -> None:
    stack = alarms(*emails)
    expected = Counter(
        {
            "headrace:aws:Alarms": 1,
            KEY: 1,
            "aws:kms/alias:Alias": 1,
            "aws:kms/keyPolicy:KeyPolicy": 1,
            TOPIC: 1,
            "aws:sns/topicPolicy:TopicPolicy": 1,
            "aws:sns/topicSubscription:TopicSubscription": len(emails),
        }
    )
    assert kinds(stack) == +expected
    assert_house_rules(stack, "dev")


def test_the_topic_is_encrypted_with_a_key_that_alarms_may_use() -> None:
    stack = alarms()
    assert inputs(stack, TOPIC, "dev-alarms")["kmsMasterKeyId"] == arn(KEY, "dev-alarms")
    account, senders = statements(inputs(stack, "aws:kms/keyPolicy:KeyPolicy", "dev-alarms")["policy"])
    assert account["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert (senders["Principal"], senders["Condition"]) == (SENDERS, OWN)
    assert {"kms:Decrypt", "kms:GenerateDataKey*"} <= set(senders["Action"])


def test_only_alarms_of_this_account_write_to_it_and_only_by_tls() -> None:
    allowed, denied = statements(inputs(alarms(), "aws:sns/topicPolicy:TopicPolicy", "dev-alarms")["policy"])
    assert (allowed["Effect"], allowed["Principal"], allowed["Condition"]) == ("Allow", SENDERS, OWN)
    assert allowed["Action"] == ["sns:GetTopicAttributes", "sns:Publish"]
    assert allowed["Resource"] == denied["Resource"] == arn(TOPIC, "dev-alarms")
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "sns:Publish")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_each_address_is_told() -> None:
    subscription = inputs(
        alarms("oncall@example.com"), "aws:sns/topicSubscription:TopicSubscription", "dev-alarms-0"
    )
    assert (subscription["protocol"], subscription["endpoint"]) == ("email", "oncall@example.com")
    assert subscription["topic"] == arn(TOPIC, "dev-alarms")


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(HeadraceError) as refused:
        AlarmsArgs(emails=["oncall"], tags=TAGS)
    assert str(refused.value) == "alarms: given 'oncall' to be told; allowed: e-mail addresses"
