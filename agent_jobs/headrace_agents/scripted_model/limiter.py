"""A request limit, as the generic cell rate algorithm: one number of state."""

from __future__ import annotations

_ROUNDING_S = 1e-9


class Limiter:
    """Lets ``per_second`` requests in a second through; as many may come at once after a quiet second."""

    def __init__(self, per_second: float) -> None:
        self._interval_s = 1 / per_second
        self._burst_s = max(0.0, 1 - self._interval_s)
        self._paid_until = float("-inf")

    def wait_s(self, now: float) -> float:
        """0 lets the request in and counts it; otherwise the seconds until there is room, uncounted."""
        paid_until = max(now, self._paid_until)
        wait = paid_until - now - self._burst_s
        if wait > _ROUNDING_S:
            return wait
        self._paid_until = paid_until + self._interval_s
        return 0.0
