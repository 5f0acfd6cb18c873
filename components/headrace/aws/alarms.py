"""Where alarms of a stack go, and who is told: an encrypted topic that only alarms may write to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from headrace.aws.encryption import key, usable_by
from headrace.aws.iam import account_of, document
from headrace.aws.tags import Tags
from headrace.errors import HeadraceError

SENDERS = ("aps.amazonaws.com", "cloudwatch.amazonaws.com")
"""Managed Prometheus' alert manager, and CloudWatch's alarms."""
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


@dataclass(frozen=True, kw_only=True)
class AlarmsArgs:
    """Who is told.

    Raises:
        HeadraceError: one of them is no e-mail address.
    """

    emails: Sequence[str]
    """Each is asked once whether it wants them. Empty: whoever subscribes to the topic is told."""
    tags: Tags

    def __post_init__(self) -> None:
        for each in self.emails:
            if not ADDRESS.fullmatch(each):
                raise HeadraceError(f"alarms: given {each!r} to be told; allowed: e-mail addresses")


class Alarms(pulumi.ComponentResource):
    """A topic for all alarms of an environment, which nobody but alarms writes to, by TLS alone.

    >>> tags = Tags(environment="prod", owner="data", cost_centre="4711")
    >>> alarms = Alarms("prod", AlarmsArgs(emails=["oncall@example.com"], tags=tags))  # doctest: +SKIP
    """

    topic_arn: pulumi.Output[str]

    def __init__(self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("headrace:aws:Alarms", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        child = f"{name}-alarms"
        encryption = key(child, f"Alarms of {args.tags.environment}", args.tags, self._child)
        readable = usable_by(child, encryption, SENDERS, self._child)
        topic = aws.sns.Topic(
            child,
            kms_master_key_id=encryption.arn,
            tags=args.tags.named(child),
            # A sender without the key's consent loses what it sends.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[readable]),
        )
        self._policy(child, topic)
        for at, email in enumerate(args.emails):
            aws.sns.TopicSubscription(
                f"{child}-{at}", topic=topic.arn, protocol="email", endpoint=email, opts=self._child
            )
        self.topic_arn = topic.arn
        self.register_outputs({"topic_arn": self.topic_arn})

    def _policy(self, name: str, topic: aws.sns.Topic) -> None:
        aws.sns.TopicPolicy(
            name,
            arn=topic.arn,
            policy=document(
                {
                    "Effect": "Allow",
                    "Principal": {"Service": list(SENDERS)},
                    "Action": ["sns:GetTopicAttributes", "sns:Publish"],
                    "Resource": topic.arn,
                    "Condition": {"StringEquals": {"aws:SourceAccount": account_of(topic.arn)}},
                },
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "sns:Publish",
                    "Resource": topic.arn,
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
            ),
            opts=self._child,
        )
