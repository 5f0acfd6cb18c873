"""Restarts failed tasks of Kafka Connect.

A worker reports a task as FAILED and leaves it so; on MSK Connect and with Strimzi a controller restarts
it. This is that controller for one worker: each task's restarts are spaced further and further apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx

from headrace.local.connect_status import Status, has_failed

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
FORGIVEN_AFTER_S = 300.0


@dataclass
class TaskRestarter:
    client: httpx.Client
    pauses: dict[str, float] = field(default_factory=dict)
    restarted_at: dict[str, float] = field(default_factory=dict)
    seen: dict[str, Status] = field(default_factory=dict)
    """By connector, at the last look."""

    def pass_over(self, now: float) -> list[str]:
        """Look once; returns the connectors that were restarted."""
        connectors = self.client.get("/connectors", params={"expand": "status"}).raise_for_status().json()
        self.seen = {name: found["status"] for name, found in connectors.items()}
        failed = [name for name, status in self.seen.items() if has_failed(status)]
        return [name for name in failed if self._due(name, now) and self._restart(name, now)]

    def _due(self, name: str, now: float) -> bool:
        since = now - self.restarted_at.get(name, float("-inf"))
        if since > FORGIVEN_AFTER_S:
            self.pauses.pop(name, None)
        return since >= self.pauses.get(name, 0.0)

    def _restart(self, name: str, now: float) -> bool:
        query = {"includeTasks": "true", "onlyFailed": "true"}
        answer = self.client.post(f"/connectors/{name}/restart", params=query)
        self.restarted_at[name] = now
        self.pauses[name] = min(max(self.pauses.get(name, 0.0) * 2, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        return answer.is_success
