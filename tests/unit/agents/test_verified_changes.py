"""What verification says of a change of an agent is what the operator then does with the state."""

from __future__ import annotations

from typing import Any

from hypothesis import event, given, settings

from headrace_agents import codec
from headrace_agents.memory import UnreadableMemoryError
from headrace_agents.shards import shard_ids
from headrace_agents.verification import Verification
from tests.unit.agents.worlds import LIMITS, World, created
from tests.verification.schema_changes import KEYS, LOADABLE, SchemaChange

NOW_MS, OLD_MS = 1_000, 0
EXPIRY_MS = 900


@settings(max_examples=200, deadline=None)
@given(change=LOADABLE)
def test_verification_names_the_keys_whose_runs_the_operator_fails_at_and_no_others(
    change: SchemaChange,
) -> None:
    state = {
        codec.memory_key(b"[%d]" % key): data
        for key, memory in zip(KEYS, change.memories, strict=True)
        if (data := memory.encoded(NOW_MS, OLD_MS)) is not None
    }
    limits = LIMITS.model_copy(update={"memory_expiry_ms": EXPIRY_MS if change.expires else None})
    world = World([], limits, change.agent())

    verification = Verification(world.spec, world.agent, now_ms=world.clock(), examples=len(KEYS))
    (shard_id,) = shard_ids(1, 1)
    report = verification.shard(shard_id, state.items())

    named = {example.key for found in report.failures for example in found.examples}
    failed = {f"[{key}]" for key in KEYS if not _goes_on(change, limits, state, key)}
    event(f"{len(failed)} keys fail")
    assert named == failed
    assert report.is_proven == (not failed)


def _goes_on(change: SchemaChange, limits: Any, state: dict[bytes, bytes], key: int) -> bool:
    """Whether a job that was restored with the state decides an event of the key."""
    world = World([], limits, change.agent())
    world.durable.state = dict(state)
    world.put_in(created(0, key))
    try:
        world.end_run(0)
    except (UnreadableMemoryError, SystemExit):
        return False
    world.pass_time(1_000)
    (outcome,) = world.outcomes()
    assert outcome.status == "decided"
    return True
