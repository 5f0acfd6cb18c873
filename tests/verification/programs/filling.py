"""Fills the agent operator's state by its own codec, with what a test wants to be there."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor

from headrace_agents import codec
from headrace_agents.flink.state import BYTES
from headrace_agents.operators import SHARD

FAR_MS = 4_000_000_000_000
LONG_PAST_MS = 1_000

Entries = Callable[[int], Iterator[tuple[bytes, bytes]]]
"""Of the shard of that index."""


class Fill(KeyedProcessFunction):
    """Fills each shard at its first turn."""

    def __init__(self, ids: tuple[int, ...], entries: Entries, done: Path) -> None:
        self._ids, self._entries, self._done = ids, entries, done

    def open(self, runtime_context: RuntimeContext) -> None:
        self._map = runtime_context.get_map_state(MapStateDescriptor(SHARD, BYTES, BYTES))
        self._left = set(self._ids)

    def process_element(self, _value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[bytes]:
        shard_id = ctx.get_current_key()
        if shard_id in self._left:
            self._left.remove(shard_id)
            for key, value in self._entries(self._ids.index(shard_id)):
                self._map.put(key, value)
            ctx.timer_service().register_processing_time_timer(FAR_MS)
            if not self._left:
                self._done.touch()
        yield b""

    def on_timer(self, _timestamp: int, _ctx: KeyedProcessFunction.OnTimerContext) -> tuple[()]:
        return ()


def numbered(shard: int, *, shards: int, memories: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """A shard's share of so many memories."""
    for number in range(shard, memories, shards):
        memory = codec.Memory(1, LONG_PAST_MS, content(number, size))
        yield codec.memory_key(b"[%d]" % number), codec.encode_memory(memory)


def content(number: int, size: int) -> bytes:
    """A memory of the first version in as many bytes, which no compression makes much smaller."""
    frame = len(b'{"text": ""}')
    digits = random.Random(number).randbytes((size - frame + 1) // 2).hex()[: size - frame]
    return json.dumps({"text": digits}).encode()
