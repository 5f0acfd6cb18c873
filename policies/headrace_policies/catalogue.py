"""Every rule of the pack."""

from __future__ import annotations

from headrace_policies import (
    agents,
    cdc,
    checkpoints,
    ec2,
    eks,
    flink,
    iam,
    kafka,
    kms,
    kubernetes,
    msk,
    s3,
    s3_objects,
    secrets_manager,
    tags,
)
from headrace_policies.rule import Rule

SUBJECTS = (
    eks,
    kubernetes,
    msk,
    s3,
    s3_objects,
    iam,
    kms,
    ec2,
    secrets_manager,
    checkpoints,
    flink,
    kafka,
    cdc,
    agents,
    tags,
)
RULES: tuple[Rule, ...] = tuple(rule for subject in SUBJECTS for rule in subject.RULES)
