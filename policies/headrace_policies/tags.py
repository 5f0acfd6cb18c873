"""Tags: whose a resource is, what for, and who pays."""

from __future__ import annotations

from collections.abc import Iterator

from headrace_policies import ec2, eks, iam, kms, msk, s3, secrets_manager
from headrace_policies.cdc import WORKER
from headrace_policies.rule import Declared, Option, Rule
from headrace_policies.samples import TAGS
from headrace_policies.stacks import Case

TAGGABLE = (
    eks.CLUSTER,
    eks.NODE_GROUP,
    eks.SUBNET,
    msk.CLUSTER,
    msk.CONNECTOR,
    WORKER,
    s3.BUCKET_TYPE,
    iam.POLICY,
    iam.ROLE_TYPE,
    kms.KEY_TYPE,
    ec2.VPC,
    ec2.FLOW_LOG,
    ec2.GROUP,
    ec2.TEMPLATE,
    secrets_manager.SECRET,
)


def _tags(case: Case) -> Iterator[str]:
    # With a provider's default tags, `tagsAll` has what `tags` lacks.
    tags, every = case.at("tags"), case.at("tagsAll")
    present = {key for key in tags.keys if tags.at(key).text} | set(every.keys)
    missing = [key for key in case.config["required"] if key not in present]
    if missing:
        yield tags.fault(f"tags are missing: {', '.join(missing)}")


RULES = (
    Rule(
        id="HR-TAG-1",
        title="Everything taggable says its environment, its owner and who pays",
        severity="low",
        governs=TAGGABLE,
        decides=("tags",),
        absent_is_fault=True,
        why="What nobody owns nobody removes, and costs that nobody can be asked about grow.",
        fix="Set the tags, best as `defaultTags` of the provider.",
        judge=_tags,
        options={"required": Option({"type": "array", "items": {"type": "string"}}, tuple(TAGS))},
        fails=(Declared(kms.KEY_TYPE, {"enableKeyRotation": True, "tags": {"environment": "prod"}}),),
        passes=(Declared(kms.KEY_TYPE, {"enableKeyRotation": True, "tags": TAGS}),),
    ),
)
