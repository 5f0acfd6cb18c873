"""What verifies a shard, in the agent operator's place: it has that operator's state, and no other part."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor

from headrace_agents.agent import load
from headrace_agents.flink.state import BYTES
from headrace_agents.operators import SHARD
from headrace_agents.spec import AgentJobSpec
from headrace_agents.verification import Verification


class VerifyFunction(KeyedProcessFunction):
    """Carries the specification as JSON to the worker. An element is a shard's turn; its report comes out."""

    def __init__(self, spec_json: str) -> None:
        self._spec_json = spec_json

    def open(self, runtime_context: RuntimeContext) -> None:
        spec = AgentJobSpec.model_validate_json(self._spec_json)
        agent = load(spec.entry_point, spec.settings)
        self._verification = Verification(spec, agent, now_ms=time.time_ns() // 1_000_000)
        self._map = runtime_context.get_map_state(MapStateDescriptor(SHARD, BYTES, BYTES))

    def process_element(self, _value: int, ctx: KeyedProcessFunction.Context) -> Iterator[str]:
        # Entries come some at a time, and what has been read of them is dropped.
        yield self._verification.shard(ctx.get_current_key(), self._map.items()).model_dump_json()

    def on_timer(self, _timestamp: int, _ctx: KeyedProcessFunction.OnTimerContext) -> tuple[()]:
        """The state's timers are restored with it; here none of them does anything."""
        return ()
