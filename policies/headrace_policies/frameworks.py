"""Whose control an id is."""

from __future__ import annotations

import re

_OWNERS = (
    (r"HR-", "Headrace"),
    (r"CKV_AWS_", "checkov"),
    (r"CIS-", "CIS Amazon EKS Benchmark"),
    (r"nag-", "cdk-nag AwsSolutions"),
    (r"[A-Za-z0-9]+\.\d+", "AWS Security Hub"),
)


def owner(control: str) -> str:
    """The framework that a control's id belongs to.

    Raises:
        ValueError: no framework writes its ids so.
    """
    for pattern, name in _OWNERS:
        if re.match(pattern, control):
            return name
    raise ValueError(f"{control}: no framework's id; known are {', '.join(name for _, name in _OWNERS)}")
