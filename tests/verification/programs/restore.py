"""Restores a savepoint of random changes: verifies each shard, then has the operator decide an event with it.

``flink run --target local ... --python restore.py --spec FILE --savepoint PATH --told FILE``. The last file
gets a line for each shard: its index, whether verification says that it can be gone on from, and whether the
operator then decided the event.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from pyflink.common import Instant, Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext, StreamExecutionEnvironment
from pyflink.datastream.state import MapStateDescriptor

from headrace_agents import operator
from headrace_agents.agent import load
from headrace_agents.flink import function
from headrace_agents.flink.function import AgentFunction
from headrace_agents.flink.keyed import configuration_of, key_by_shard
from headrace_agents.flink.preflight import read_spec
from headrace_agents.flink.state import BYTES
from headrace_agents.operators import AGENT, SHARD
from headrace_agents.shards import shard_ids
from headrace_agents.spec import AgentJobSpec
from headrace_agents.verification import Verification
from tests.verification import changed

BEGIN, END = 0, 1
TIMEOUT_S = 30


class Restored(KeyedProcessFunction):
    """In the agent operator's place, one agent after the other.

    A shard has two turns: a run starts at the end of the first one's bundle.
    """

    def __init__(self, spec_json: str, told: Path) -> None:
        self._spec_json, self._told = spec_json, told

    def open(self, runtime_context: RuntimeContext) -> None:
        self._context = runtime_context
        self._spec = AgentJobSpec.model_validate_json(self._spec_json)
        self._ids = shard_ids(self._spec.shards, self._spec.max_parallelism)
        self._map = runtime_context.get_map_state(MapStateDescriptor(SHARD, BYTES, BYTES))
        self._backend = runtime_context._keyed_state_backend
        handler = self._backend._map_state_handler
        self._as_it_was = self._backend.commit, handler._underlying

    def process_element(self, turn: int, ctx: KeyedProcessFunction.Context) -> Iterator[bytes]:
        shard_id = ctx.get_current_key()
        if turn == BEGIN:
            self._begin(shard_id, ctx)
        else:
            self._end(shard_id, ctx)
        yield b""

    def on_timer(self, _timestamp: int, _ctx: KeyedProcessFunction.OnTimerContext) -> tuple[()]:
        return ()

    def _begin(self, shard_id: int, ctx: KeyedProcessFunction.Context) -> None:
        number, key = changed.change_and_key(self._ids.index(shard_id))
        expires = changed.changes()[number].expires
        limits = {"memory_expiry_ms": changed.EXPIRY_MS if expires else None}
        spec = self._spec.model_copy(
            update={
                "entry_point": changed.entry_point(number),
                "limits": self._spec.limits.model_copy(update=limits),
            }
        )
        verification = Verification(spec, load(spec.entry_point, {}), now_ms=_now_ms())
        self._is_proven = verification.shard(shard_id, self._map.items()).is_proven
        handler = self._backend._map_state_handler
        self._backend.commit, handler._underlying = self._as_it_was
        # Its only shard is this one, so that it opens no other agent's.
        self._operator = AgentFunction(spec.model_copy(update={"shards": 1}).model_dump_json())
        own: dict[str, Any] = {"return_value": (shard_id,)}
        with mock.patch.object(function, "shard_ids", **own), mock.patch.object(operator, "shard_ids", **own):
            self._operator.open(self._context)
        self._decided = list(self._operator.process_element(_created(key), ctx))

    def _end(self, shard_id: int, ctx: KeyedProcessFunction.Context) -> None:
        try:
            self._wait_for_outcome(ctx)
            goes_on = True
        except TimeoutError:
            raise
        except Exception:  # noqa: BLE001 (whatever would fail the job)
            goes_on = False
        self._operator.close()
        with self._told.open("a") as file:
            file.write(json.dumps([self._ids.index(shard_id), self._is_proven, goes_on]) + "\n")

    def _wait_for_outcome(self, ctx: KeyedProcessFunction.Context) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not any(row[0] == self._spec.outputs.outcomes for row in self._decided):
            if time.monotonic() > deadline:
                raise TimeoutError("an event came to no end")
            self._decided += self._operator.on_timer(_now_ms(), ctx)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--spec", type=Path, required=True)
    parser.add_argument("--savepoint", required=True)
    parser.add_argument("--told", type=Path, required=True)
    options = parser.parse_args()
    spec = read_spec(options.spec)
    environment = StreamExecutionEnvironment.get_execution_environment(
        configuration_of(
            {
                "parallelism.default": "1",
                "pipeline.max-parallelism": str(spec.max_parallelism),
                "execution.state-recovery.path": options.savepoint,
                "execution.state-recovery.claim-mode": "NO_CLAIM",
                "execution.state-recovery.ignore-unclaimed-state": "true",
                "restart-strategy.type": "none",
                "rest.bind-port": "0",
                "jobmanager.bind-host": "127.0.0.1",
                "taskmanager.bind-host": "127.0.0.1",
                "state.backend.type": "rocksdb",
                "taskmanager.memory.managed.size": "128m",
                "python.fn-execution.bundle.size": "1",
            }
        )
    )
    ids = shard_ids(spec.shards, spec.max_parallelism)
    turns = environment.from_collection(
        [Row(id_, turn) for id_ in ids for turn in (BEGIN, END)], Types.ROW([Types.INT(), Types.INT()])
    )
    restored = Restored(spec.model_dump_json(), options.told)
    key_by_shard(turns, Types.INT()).process(restored, BYTES).uid(AGENT).print()
    environment.execute(spec.name)


def _created(key: int) -> Row:
    envelope = {
        "op": "c",
        "source": {"schema": "public", "table": "things", "ts_ms": 5},
        "before": None,
        "after": {"id": key},
    }
    raw_key = json.dumps({"id": key}).encode()
    return Row("public.things", 0, key, Instant(0, 0), raw_key, json.dumps(envelope).encode())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    main()
