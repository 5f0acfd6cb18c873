"""The repository of agents' images: tags that never move, scanned, referred to by digest."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from headrace.aws.encryption import key
from headrace.aws.tags import Tags
from headrace.environment.aws_parts import DIGEST
from headrace.errors import HeadraceError

UNTAGGED_DAYS = 7
"""Tags never move, so what has none never had one: a push that did not end."""


@dataclass(frozen=True, kw_only=True)
class AgentImageArgs:
    """Whose images, and whether they may go with the stack."""

    protect: bool
    tags: Tags


class AgentImage(pulumi.ComponentResource):
    """A private repository for the image of an environment's agents.

    No tagged image goes by age or number: a job may run, or be rolled back to, any of them.

    >>> tags = Tags(environment="dev", owner="data", cost_centre="4711")
    >>> images = AgentImage("dev", AgentImageArgs(protect=False, tags=tags))  # doctest: +SKIP
    >>> image = images.at("sha256:...")  # doctest: +SKIP
    """

    repository_url: pulumi.Output[str]
    repository_arn: pulumi.Output[str]

    def __init__(self, name: str, args: AgentImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("headrace:aws:AgentImage", name, None, opts)
        child = f"{name}-agents"
        kept = pulumi.ResourceOptions(parent=self, protect=args.protect)
        encryption = key(child, f"Images of the agents of {args.tags.environment}", args.tags, kept)
        repository = aws.ecr.Repository(
            child,
            name=f"headrace/{args.tags.environment}/{name}",
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": encryption.arn}],
            force_delete=not args.protect,
            tags=args.tags.named(child),
            opts=kept,
        )
        aws.ecr.LifecyclePolicy(
            child,
            repository=repository.name,
            policy=json.dumps({"rules": [_untagged_go()]}),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.repository_url = repository.repository_url
        self.repository_arn = repository.arn
        self.register_outputs({"repository_url": self.repository_url, "repository_arn": self.repository_arn})

    def at(self, digest: str) -> pulumi.Output[str]:
        """The image with this digest, as a pod's specification names it.

        Raises:
            HeadraceError: it is no digest; a tag says nothing about what runs.
        """
        if not re.fullmatch(DIGEST, digest):
            raise HeadraceError(
                f"image: given {digest!r}; allowed: a digest, sha256: and 64 hexadecimal digits"
            )
        return pulumi.Output.concat(self.repository_url, "@", digest)


def _untagged_go() -> dict[str, object]:
    return {
        "rulePriority": 1,
        "description": f"What has no tag goes after {UNTAGGED_DAYS} days",
        "selection": {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": UNTAGGED_DAYS,
        },
        "action": {"type": "expire"},
    }
