"""The connector's own settings, changed behind the declaration's back."""

from __future__ import annotations

import httpx

from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

CONNECTED_TIMEOUT_S = 60


def batches_of(stack: LiveStack, most: str) -> str:
    """So many records a poll, from now on; returns how many they were."""
    url = f"{stack.connect_url}/connectors/{stack.plan.sources[0].connector}/config"
    with httpx.Client(trust_env=False, timeout=CONNECTED_TIMEOUT_S) as client:
        config = client.get(url).raise_for_status().json()
        client.put(url, json=config | {"max.batch.size": most}).raise_for_status()
    until("captures again", stack.is_capturing, CONNECTED_TIMEOUT_S)
    return str(config["max.batch.size"])
