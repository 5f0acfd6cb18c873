"""A key's memory: how long it is kept, how large it may be, and what becomes of an older version's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from headrace_agents import Agent, AgentError, Change, Context, codec, migrates, on
from headrace_agents.agent import prepare
from headrace_agents.memory import MemoryFormat, MemoryTooLargeError, UnreadableMemoryError
from headrace_agents.testing import DEFAULT_LIMITS, AgentTest
from tests.unit.agents.worlds import LIMITS, TABLE, Decided, Seen, Thing, World, created

DAY_MS = 86_400_000
ROW = {"id": 1, "key": 7}


class Counts(BaseModel):
    """Version 3: a count by kind; version 2 had one count, version 1 called it otherwise."""

    counts: dict[str, int] = {}


class Third(Agent[Counts, Decided]):
    memory_version = 3

    @on(TABLE, "create")
    async def thing(self, ctx: Context[Counts, Decided], _change: Change[Thing]) -> None:
        ctx.memory.counts["thing"] = ctx.memory.counts.get("thing", 0) + 1

    @on(TABLE, "update")
    async def look(self, ctx: Context[Counts, Decided], _change: Change[Thing]) -> None: ...

    @migrates(1)
    @staticmethod
    def _to_second(memory: dict[str, Any]) -> dict[str, Any]:
        return {"count": memory["seen"]}

    @staticmethod
    @migrates(2)
    def _to_third(memory: dict[str, Any]) -> dict[str, Any]:
        return {"counts": {"thing": memory["count"]}}


class More(Seen):
    note: str = "none yet"


class Newer(Agent[More, Decided]):
    @on(TABLE)
    async def handle(self, ctx: Context[More, Decided], _change: Change[Thing]) -> None: ...


class Gap(Third):
    memory_version = 4


class Raises(Agent[Counts, Decided]):
    memory_version = 2

    @on(TABLE, "create")
    async def thing(self, ctx: Context[Counts, Decided], _change: Change[Thing]) -> None: ...

    @migrates(1)
    @staticmethod
    def _to_second(memory: dict[str, Any]) -> dict[str, Any]:
        return {"counts": {"thing": 100 // memory["seen"]}}


def memory_of(agent_class: type[Agent[Any, Any, Any]], **more: Any) -> MemoryFormat:
    return MemoryFormat(prepare(agent_class, {}), **({"max_bytes": 1_000, "expiry_ms": None} | more))


def stored(version: int, json: bytes, written_at_ms: int = 0) -> bytes:
    return codec.encode_memory(codec.Memory(version, written_at_ms, json))


# Versions


@pytest.mark.parametrize(
    ("version", "json"), [(1, b'{"seen":4}'), (2, b'{"count":4}'), (3, b'{"counts":{"thing":4}}')]
)
def test_memory_of_every_version_is_read_as_today_s(version: int, json: bytes) -> None:
    assert memory_of(Third).read(stored(version, json), 0) == Counts(counts={"thing": 4})


def test_a_run_goes_on_with_migrated_memory_and_writes_today_s_version() -> None:
    world = World([created(0, 1)], agent_class=Third)
    world.durable.state[codec.memory_key(b"[1]")] = stored(1, b'{"seen":4}')

    world.finish()

    (memory,) = world.memories().values()
    assert (memory.schema_version, memory.json) == (3, b'{"counts":{"thing":5}}')


def test_migrations_that_do_not_lead_to_the_version_are_refused_when_the_class_is_loaded() -> None:
    with pytest.raises(AgentError, match=r"memory_version is 4; migrations start from 1, 2, .* gap"):
        prepare(Gap, {})


def test_a_version_that_no_migration_starts_from_is_unreadable() -> None:
    with pytest.raises(UnreadableMemoryError, match="no migration starts from version 1"):
        memory_of(type("NoWay", (Third,), {"memory_version": 3, "_to_second": None})).read(
            stored(1, b'{"seen":4}'), 0
        )


def test_memory_of_a_later_version_fails_the_job_and_is_kept() -> None:
    later = stored(9, b'{"counts":{"thing":4}}')
    world = World([created(0, 1)], agent_class=Third)
    world.durable.state[codec.memory_key(b"[1]")] = later

    with pytest.raises(UnreadableMemoryError, match="its version is 9, this agent's 3: a later one wrote"):
        world.finish()

    assert world.durable.state[codec.memory_key(b"[1]")] == later


@pytest.mark.parametrize(
    ("json", "why"),
    [
        (b'{"seen":0}', "ZeroDivisionError"),
        (b"{}", "KeyError"),
        (b'{"seen":"many"}', "TypeError"),
        (b"{", "ValueError"),
    ],
)
def test_a_migration_that_raises_makes_memory_unreadable_whatever_it_raises(json: bytes, why: str) -> None:
    with pytest.raises(UnreadableMemoryError, match=f"can't be read as Counts: {why}"):
        memory_of(Raises).read(stored(1, json), 0)


def test_memory_that_was_cut_short_is_unreadable() -> None:
    with pytest.raises(UnreadableMemoryError):
        memory_of(Third).read(stored(3, b"")[:5], 0)


# Size


def test_memory_may_be_as_large_as_its_bound_and_no_byte_larger() -> None:
    memory = Counts(counts={"a" * 100: 1})
    size = len(memory_of(Third).write(memory, None, 0) or b"")

    assert memory_of(Third, max_bytes=size).write(memory, None, 0) is not None
    with pytest.raises(MemoryTooLargeError, match=f"{size} bytes, at most {size - 1} for a key"):
        memory_of(Third, max_bytes=size - 1).write(memory, None, 0)


def test_memory_that_does_not_fit_its_own_model_is_not_written() -> None:
    memory = Counts.model_construct(counts="none")  # type: ignore[arg-type]

    with pytest.raises(ValueError, match="counts"):
        memory_of(Third).write(memory, None, 0)


# Expiry


def expiring(expiry: timedelta) -> AgentTest:
    limits = DEFAULT_LIMITS.model_copy(update={"memory_expiry_ms": expiry // timedelta(milliseconds=1)})
    return AgentTest(Third, key=("key",), limits=limits)


def test_memory_is_forgotten_when_nothing_wrote_it_for_its_time() -> None:
    agent = expiring(timedelta(days=1))
    agent.create(TABLE, ROW)
    agent.advance(timedelta(days=1))
    agent.create(TABLE, ROW)

    assert agent.memory(key=7) == Counts(counts={"thing": 1})


def test_an_event_keeps_memory_alive_though_it_changes_nothing() -> None:
    agent = expiring(timedelta(days=1))
    agent.create(TABLE, ROW)
    for _ in range(4):
        agent.advance(timedelta(hours=20))
        agent.update(TABLE, ROW, ROW)

    assert agent.memory(key=7) == Counts(counts={"thing": 1})


def expiring_world() -> World:
    limits = LIMITS.model_copy(update={"memory_expiry_ms": DAY_MS})
    return World([created(0, 1)], limits)


def test_memory_of_a_key_that_no_event_comes_for_is_swept_out_of_the_state() -> None:
    world = expiring_world()
    world.finish()
    assert len(world.memories()) == 1

    world.pass_time(DAY_MS)
    world.pass_time(DAY_MS // 10)

    assert world.memories() == {}
    assert world.reports() == []


def test_a_sweep_goes_on_where_memory_can_t_be_read() -> None:
    world = expiring_world()
    world.durable.state[codec.memory_key(b"[0]")] = b"\x09"
    world.durable.state[codec.memory_key(b"[2]")] = b"\x01"
    world.finish()

    world.pass_time(DAY_MS)
    world.pass_time(DAY_MS // 10)

    assert world.durable.state.keys() & {codec.memory_key(b"[%d]" % key) for key in range(3)} == {
        codec.memory_key(b"[0]"),
        codec.memory_key(b"[2]"),
    }


def test_without_an_expiry_memory_is_kept_for_ever() -> None:
    agent = AgentTest(Third, key=("key",))
    agent.create(TABLE, ROW)

    agent.advance(timedelta(days=400))

    assert agent.memory(key=7) == Counts(counts={"thing": 1})


def test_a_new_field_of_memory_gets_its_default_without_a_migration() -> None:
    assert memory_of(Newer).read(stored(1, b'{"things":[1],"gone":2}'), 0) == More(things=[1])
