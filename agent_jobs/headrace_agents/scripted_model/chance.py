"""Faults and latencies, drawn by hash so that a run can be repeated."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from statistics import NormalDist

from headrace_agents.scripted_model.settings import Settings

_NORMAL = NormalDist()
_Z99 = _NORMAL.inv_cdf(0.99)


class Fate(StrEnum):
    """What becomes of a call that was let in."""

    ANSWERED = "answered"
    ERROR = "error"
    HUNG = "hung"
    MALFORMED = "malformed"
    GARBLED = "garbled"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class Draw:
    """Independent uniform numbers in the open interval (0, 1), for one attempt."""

    fate: float
    error: float
    latency: float


def draw(seed: int, idempotency_key: str | None, attempt: int) -> Draw:
    """The numbers of one attempt: a function of its arguments alone."""
    name = f"{seed}\0{idempotency_key or ''}\0{attempt}".encode(errors="surrogateescape")
    words = struct.unpack(">3Q", blake2b(name, digest_size=24).digest())
    # 52 bits and a half: exact in a float, and never 0 or 1, where the normal quantile is infinite.
    return Draw(*(((word >> 12) + 0.5) / 2**52 for word in words))


def fate(settings: Settings, drawn: Draw) -> Fate:
    """One number decides, so that the rates are exact shares of all calls and never overlap."""
    rest = drawn.fate
    for each, rate in (
        (Fate.ERROR, settings.error_rate),
        (Fate.HUNG, settings.hang_rate),
        (Fate.MALFORMED, settings.malformed_rate),
        (Fate.GARBLED, settings.garbled_rate),
        (Fate.DECLINED, settings.declined_rate),
    ):
        if rest < rate:
            return each
        rest -= rate
    return Fate.ANSWERED


def error_status(drawn: Draw) -> int:
    return 500 if drawn.error < 0.5 else 503


def latency_s(settings: Settings, drawn: Draw) -> float:
    """Seconds from the request's arrival to its answer."""
    latency = settings.latency_ms
    if isinstance(latency, float):
        return latency / 1000
    sigma = math.log(latency.p99 / latency.p50) / _Z99
    return latency.p50 / 1000 * math.exp(sigma * _NORMAL.inv_cdf(drawn.latency))
