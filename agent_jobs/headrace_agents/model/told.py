"""What endpoints say of a call, within bounds."""

from __future__ import annotations

import math
import time
from email.utils import parsedate_to_datetime

_LONGEST_WORD_S = 600.0
"""Of a ``Retry-After``: whoever asks for more is asked again after that."""
_CHARACTERS = 1_000
"""Of what an endpoint says; it goes into a dead letter's header."""
_MOST_TOKENS = 10_000_000
"""Of one call, each way: the longest context that models have. Sums of these fit the 64 bits of a metric; one
that does not would end the job."""


def told(message: object) -> str:
    """As much of it as is worth keeping."""
    return str(message)[:_CHARACTERS]


def retry_after_s(header: str | None) -> float | None:
    """Seconds from now, within bounds; None for what is neither seconds nor a date (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    try:
        asked = float(header)
    except ValueError:
        try:
            asked = parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return None if math.isnan(asked) else min(max(0.0, asked), _LONGEST_WORD_S)


def tokens(counted: object) -> int:
    """As an endpoint counted them, within bounds; 0 for what is no count."""
    return min(max(0, counted), _MOST_TOKENS) if isinstance(counted, int) else 0
