"""Fills the agent operator's state by its own codec with as many memories as are wanted."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor

from headrace_agents import codec
from headrace_agents.flink.state import BYTES
from headrace_agents.operators import SHARD

FAR_MS = 4_000_000_000_000
LONG_PAST_MS = 1_000


class Fill(KeyedProcessFunction):
    """Fills each shard at its first turn."""

    def __init__(self, ids: tuple[int, ...], memories: int, size: int, done: Path) -> None:
        self._ids, self._memories, self._size, self._done = ids, memories, size, done

    def open(self, runtime_context: RuntimeContext) -> None:
        self._map = runtime_context.get_map_state(MapStateDescriptor(SHARD, BYTES, BYTES))
        self._left = set(self._ids)

    def process_element(self, _value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[bytes]:
        shard_id = ctx.get_current_key()
        if shard_id in self._left:
            self._left.remove(shard_id)
            for number in range(self._ids.index(shard_id), self._memories, len(self._ids)):
                memory = codec.Memory(1, LONG_PAST_MS, content(number, self._size))
                self._map.put(codec.memory_key(b"[%d]" % number), codec.encode_memory(memory))
            ctx.timer_service().register_processing_time_timer(FAR_MS)
            if not self._left:
                self._done.touch()
        yield b""

    def on_timer(self, _timestamp: int, _ctx: KeyedProcessFunction.OnTimerContext) -> tuple[()]:
        return ()


def content(number: int, size: int) -> bytes:
    """A memory of the first version in as many bytes, which no compression makes much smaller."""
    frame = len(b'{"text": ""}')
    digits = random.Random(number).randbytes((size - frame + 1) // 2).hex()[: size - frame]
    return json.dumps({"text": digits}).encode()
