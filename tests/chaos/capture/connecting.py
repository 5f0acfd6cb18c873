"""Captures whose connector is set otherwise for a while, and compared with the table's history afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.chaos.capture.breaking import caught_up
from tests.chaos.capture.history import TOPIC, assert_same, happened, keep
from tests.pipeline.ledger import Topics
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

CONNECTED_TIMEOUT_S = 60


@contextmanager
def same_as_history(stack: LiveStack) -> Iterator[Topics]:
    """The topic, which has to be the table's history by the block's end."""
    with stack.database() as database:
        keep(database)
    topics = Topics(stack.bootstrap_servers, [TOPIC])
    try:
        yield topics
        with stack.database() as database:
            history = happened(database)
        caught_up(topics, len(history))
        assert_same(topics.records[TOPIC], history)
    finally:
        topics.close()


@contextmanager
def batches_of(stack: LiveStack, most: str) -> Iterator[None]:
    """So many records a poll, for the block's time."""
    usual = _set_batches(stack, most)
    yield
    _set_batches(stack, usual)


def _set_batches(stack: LiveStack, most: str) -> str:
    """So many records a poll, from now on; returns how many they were."""
    url = f"{stack.connect_url}/connectors/{stack.plan.sources[0].connector}/config"
    with httpx.Client(trust_env=False, timeout=CONNECTED_TIMEOUT_S) as client:
        config = client.get(url).raise_for_status().json()
        client.put(url, json=config | {"max.batch.size": most}).raise_for_status()
    until("captures again", stack.is_capturing, CONNECTED_TIMEOUT_S)
    return str(config["max.batch.size"])
