"""Names within AWS's limits."""

from __future__ import annotations

import hashlib

DIGEST_CHARS = 8
AUTONAME_CHARS = 8
"""What Pulumi adds to a name of its own making: a dash and seven characters."""
BUCKET_MAX, ROLE_MAX, LOG_GROUP_MAX = 63, 64, 512
MSK_MAX, CONNECT_MAX, PROMETHEUS_MAX, POLICY_MAX = 64, 128, 100, 128


def digest(text: str) -> str:
    """A short name for what is too long, or has characters that no name has."""
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARS]


def fitted(name: str, limit: int) -> str:
    """`name` where it fits; else its beginning and a digest of all of it, so that two long ones differ."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - DIGEST_CHARS - 1].rstrip('-')}-{digest(name)}"
