"""A savepoint in Flink's canonical format, and what its bytes hold."""

from __future__ import annotations

from typing import Any

import httpx

from headrace.local.context import HOST
from headrace.local.objects import TIMEOUT_S, objects
from headrace.local.snapshots import savepoint_folder
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

SAVEPOINT_TIMEOUT_S = 90


def canonical_savepoint(stack: LiveStack, agent: str) -> str:
    """Make one of the running agent; returns its path. What is in state is in it byte for byte."""
    job = stack.job_ids()[agent]
    body = {"target-directory": savepoint_folder(agent), "formatType": "CANONICAL", "cancel-job": False}
    url = f"{stack.flink.endpoint}/jobs/{job}/savepoints"
    trigger = httpx.post(url, json=body, timeout=TIMEOUT_S, trust_env=False).raise_for_status().json()

    def ended() -> dict[str, Any] | None:
        found = stack.rest(stack.flink.endpoint, f"/jobs/{job}/savepoints/{trigger['request-id']}")
        return dict(found["operation"]) if found["status"]["id"] == "COMPLETED" else None

    operation = until("a savepoint", ended, SAVEPOINT_TIMEOUT_S)
    assert "location" in operation, operation
    return str(operation["location"])


def traces(stack: LiveStack, snapshot: str, wanted: bytes) -> list[str]:
    """Every object below the snapshot's path that holds the bytes wanted: nothing where no trace is left."""
    endpoint = f"http://{HOST}:{stack.plan.ports.object_store}"
    bucket, _, prefix = snapshot.removeprefix("s3://").partition("/")
    with objects(endpoint) as store:
        there = [stored.path for stored in store.listed(bucket, f"{prefix}/")]
        assert there, f"nothing is stored below {snapshot}"
        return [path for path in there if wanted in (store.read(path) or b"")]
