"""What verification says of a change of an agent is what the operator then does with the state."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

from hypothesis import event, given, reject, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, create_model

from headrace_agents import Agent, Change, codec, on
from headrace_agents.agent import AgentError, migrates, prepare
from headrace_agents.codec import Memory
from headrace_agents.memory import UnreadableMemoryError
from headrace_agents.shards import shard_ids
from headrace_agents.verification import Verification
from tests.unit.agents.worlds import LIMITS, TABLE, Decided, Run, Thing, World, created

KEYS = range(6)
NAMES = ("a", "b", "c", "d")
TYPES: dict[str, tuple[Any, Any]] = {
    "int": (int, 0),
    "natural": (Annotated[int, Field(ge=0)], 0),
    "text": (str, ""),
    "numbers": (list[int], []),
    "maybe": (float | None, None),
    "required": (int, ...),
}
WRITTEN = ("int", "text", "numbers", "maybe")
EXPIRY_MS = 900
Content = dict[str, Any]


def _raises(_memory: Content) -> Content:
    raise KeyError("gone")


def _raises_for_some(memory: Content) -> Content:
    if len(json.dumps(memory)) % 2:
        raise RuntimeError("not this one")
    return memory


def _exits(_memory: Content) -> Content:
    raise SystemExit("bye")


MIGRATIONS: dict[str, Callable[[Content], Any]] = {
    "adds": lambda memory: memory | {"added": 1},
    "same": lambda memory: memory,
    "empty": lambda _: {},
    "texts": lambda memory: {name: str(value) for name, value in memory.items()},
    "known": lambda memory: {name: memory[name] for name in ("a", "b") if name in memory},
    "needs a": lambda memory: {"a": memory["a"]},
    "raises": _raises,
    "raises for some": _raises_for_some,
    "exits": _exits,
    "no mapping": lambda _: 7,
}

VALUES = {
    "int": st.integers(-3, 3),
    "text": st.sampled_from(["", "7", "no number"]),
    "numbers": st.lists(st.integers(0, 2), max_size=2),
    "maybe": st.sampled_from([None, 1.5, 2.0]),
}


Kinds = dict[str, str]


def memories(draw: st.DrawFn, kinds: Kinds) -> list[bytes | None]:
    """One for each key, as an earlier version wrote them; now and then one of them is spoilt."""
    written: list[bytes | None] = []
    for _ in KEYS:
        content = {name: draw(VALUES[kind]) for name, kind in kinds.items() if draw(st.integers(0, 20))}
        version = draw(st.sampled_from([*[1] * 15, 2, 2, 2, 4]))
        written_at_ms = draw(st.sampled_from([1_000, 1_000, 1_000, 0]))
        data = codec.encode_memory(Memory(version, written_at_ms, json.dumps(content).encode()))
        spoilt = draw(st.sampled_from([*[""] * 20, "short", "format", "none"]))
        match spoilt:
            case "short":
                data = data[: draw(st.integers(0, len(data) - 1))]
            case "format":
                data = b"\x02" + data[1:]
        written.append(None if spoilt == "none" else data)
    return written


def versions(draw: st.DrawFn, kinds: Kinds) -> type[Agent[Any, Any, Any]]:
    """A version of the agent: fields kept, added, removed or of other types; migrations or none."""
    now = {name: kind for name, kind in kinds.items() if draw(st.integers(0, 9))}
    is_retyped, has_more = draw(st.tuples(st.booleans(), st.booleans()))
    if now and is_retyped:
        now[draw(st.sampled_from(sorted(now)))] = draw(st.sampled_from(sorted(TYPES)))
    if has_more:
        now["added"] = draw(st.sampled_from(sorted(TYPES)))
    fields: dict[str, Any] = {name: TYPES[kind] for name, kind in now.items()}
    config = draw(st.sampled_from([ConfigDict(extra="ignore"), ConfigDict(extra="forbid")]))
    model: type[BaseModel] = create_model("Changed", __config__=config, **fields)
    version = draw(st.integers(1, 3))
    starts = range(draw(st.integers(1, version)), version)
    changes = {start: MIGRATIONS[draw(st.sampled_from(sorted(MIGRATIONS)))] for start in starts}

    class Changed(Agent[model, Decided]):
        memory_version = version

        @on(TABLE, "create")
        async def thing(self, ctx: Run, change: Change[Thing]) -> None:
            ctx.emit(Decided(thing=change.row.id, seen=0))

    for start, change in changes.items():
        # A function of its own: a mark is the function's.
        def migration(memory: Content, apply: Callable[[Content], Any] = change) -> Any:
            return apply(memory)

        setattr(Changed, f"from_{start}", staticmethod(migrates(start)(migration)))
    return Changed


@st.composite
def schema_changes(draw: st.DrawFn) -> tuple[list[bytes | None], type[Agent[Any, Any, Any]]]:
    kinds = {name: draw(st.sampled_from(WRITTEN)) for name in NAMES}
    return memories(draw, kinds), versions(draw, kinds)


@settings(max_examples=200, deadline=None)
@given(change=schema_changes(), expires=st.booleans())
def test_verification_names_the_keys_whose_runs_the_operator_fails_at_and_no_others(
    change: tuple[list[bytes | None], type[Agent[Any, Any, Any]]], expires: bool
) -> None:
    written, version = change
    state = {
        codec.memory_key(b"[%d]" % key): data
        for key, data in zip(KEYS, written, strict=True)
        if data is not None
    }
    limits = LIMITS.model_copy(update={"memory_expiry_ms": EXPIRY_MS if expires else None})
    try:
        prepare(version, {})
    except AgentError:
        reject()  # by whatever loads it
    world = World([], limits, version)

    verification = Verification(world.spec, world.agent, now_ms=world.clock(), examples=len(KEYS))
    (shard_id,) = shard_ids(1, 1)
    report = verification.shard(shard_id, state.items())

    named = {example.key for found in report.failures for example in found.examples}
    failed = {f"[{key}]" for key in KEYS if not _goes_on(version, limits, state, key)}
    event(f"{len(failed)} keys fail")
    assert named == failed
    assert report.is_proven == (not failed)


def _goes_on(version: type[Agent[Any, Any, Any]], limits: Any, state: dict[bytes, bytes], key: int) -> bool:
    """Whether a job that was restored with the state decides an event of the key."""
    world = World([], limits, version)
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
