"""How a client of librdkafka logs in to MSK as the pod's role: by tokens that the job signs.

librdkafka knows no ``AWS_MSK_IAM``; MSK takes a presigned ``kafka-cluster:Connect`` as an OAuth bearer token
(AWS's own signer makes it). Java's clients log in by AWS's library and come by none of this.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

log = logging.getLogger(__name__)

MECHANISM = "OAUTHBEARER"
REGION = "region="
"""Before the region in ``sasl.oauthbearer.config``, librdkafka's words for whoever makes the token."""


def with_login(properties: Mapping[str, str]) -> dict[str, Any]:
    """A client's properties, and where they ask for tokens who makes them.

    Raises:
        ValueError: tokens are asked for, and no region is named.
    """
    if properties.get("sasl.mechanism") != MECHANISM:
        return dict(properties)
    configured = properties.get("sasl.oauthbearer.config", "")
    if not configured.startswith(REGION) or configured == REGION:
        raise ValueError(f"sasl.oauthbearer.config: given {configured!r}; allowed: `{REGION}` and a region")
    return {**properties, "oauth_cb": _token}


def _token(configured: str) -> tuple[str, float]:
    """The token, and when it expires in seconds since the epoch; librdkafka asks again before that."""
    # Imported where it is needed: AWS's client takes a good part of a second, and no stack here logs in so.
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider  # noqa: PLC0415

    sign: Callable[[str], tuple[str, int]] = MSKAuthTokenProvider.generate_auth_token
    try:
        token, expires_ms = sign(configured.removeprefix(REGION))
    except Exception:
        # librdkafka tells of no reason, only that no token came.
        log.exception("no token for MSK could be made with this process's credentials")
        raise
    return token, expires_ms / 1000
