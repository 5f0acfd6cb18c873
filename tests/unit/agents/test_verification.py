"""What verification tells of a state, without telling what is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from headrace_agents import Agent, Change, Context, codec, migrates, on
from headrace_agents.agent import prepare
from headrace_agents.codec import InboxEntry, Memory, SettingsVersion, StoredReminder
from headrace_agents.records import InputRecord
from headrace_agents.shards import shard_ids
from headrace_agents.testing import in_memory_spec
from headrace_agents.verification import EXAMPLES, REASONS, Finding, Report, Verification, combined
from tests.unit.agents.worlds import LIMITS, TABLE, Tracker, World, created, envelope, key, record

GOLDEN = Path(__file__).parent / "golden"
(SHARD,) = shard_ids(1, 1)
BEGUN, WAITING = created(7, 1, "steps"), created(8, 1)


def verified(
    entries: dict[bytes, bytes], agent_class: type[Agent[Any, Any, Any]] = Tracker, shard_id: int = SHARD
) -> Report:
    agent = prepare(agent_class, {})
    spec = in_memory_spec(agent, ("key",), LIMITS)
    return Verification(spec, agent, now_ms=1_000).shard(shard_id, entries.items())


def memory(content: str, version: int = 1) -> bytes:
    return codec.encode_memory(Memory(version, 1, content.encode()))


def inbox(*records: InputRecord) -> dict[bytes, bytes]:
    return {
        codec.inbox_key(number): codec.encode_entry(InboxEntry(each, 1))
        for number, each in enumerate(records)
    }


def test_a_state_that_the_operator_wrote_is_proven_and_counted() -> None:
    world = World([created(0, 1), created(1, 2, "remind"), BEGUN, WAITING])
    for _ in range(2):
        world.take()
        world.end_run(0)
        world.pass_time(100)
    world.take()
    world.take()
    world.do_steps(0, 2)
    world.pass_time(100)
    world.command("pause")

    report = verified(world.durable.state)

    assert report.is_proven
    assert report.dead_letters == report.settings_refused == ()
    assert report.entries == {"head": 1, "inbox": 2, "journal": 2, "memory": 2, "reminders": 1, "tasks": 1}
    assert report.memory_versions == {1: 2}
    assert report.size_bytes == sum(len(k) + len(v) for k, v in world.durable.state.items())


@pytest.mark.parametrize("kind", ["head", "tasks", "settings", "inbox", "journal", "memory", "reminders"])
def test_each_kind_of_entry_is_read_and_named_when_it_is_of_another_format(kind: str) -> None:
    stored_key, stored = _golden(f"key-{kind}"), _golden(kind)

    assert not [found for found in verified({stored_key: stored}).failures if "format" in found.reason]
    (found,) = verified({stored_key: b"\x09" + stored[1:]}).failures

    assert (found.kind, found.total, len(found.examples)) == (kind, 1, 1)
    assert "state is of format 9" in found.reason


def _golden(name: str) -> bytes:
    return bytes.fromhex((GOLDEN / f"{name}.hex").read_text())


def test_an_event_that_can_not_be_read_any_more_is_a_dead_letter_and_no_failure() -> None:
    misfit = record(5, key(3), envelope({"id": "no number", "key": 3}))
    report = verified(inbox(created(4, 3), misfit, record(6, key(4), b"{")))

    assert report.is_proven
    assert sum(found.total for found in report.dead_letters) == 2
    told = {example.key for found in report.dead_letters for example in found.examples}
    assert told == {f"[3] at {TABLE} 0:5", f"[4] at {TABLE} 0:6"}


def test_a_reminder_that_no_handler_takes_is_a_dead_letter_and_one_that_is_none_a_failure() -> None:
    body = {"set_by": {"topic": "t", "partition": 0, "offset": 0}, "payload": {}, "due_at_ms": 1}
    gone = StoredReminder("reminder/1", key(1), json.dumps({**body, "kind": "Gone"}).encode())
    none = StoredReminder("reminder/2", key(2), b"{}")

    report = verified({codec.reminders_key(11): codec.encode_reminders([gone])})
    assert report.is_proven
    assert "Gone" in report.dead_letters[0].reason
    assert not verified({codec.reminders_key(11): codec.encode_reminders([none])}).is_proven


def test_settings_that_are_refused_are_told_and_no_failure() -> None:
    settings = codec.encode_settings(SettingsVersion(3, '{"unknown":1}'))

    report = verified({codec.SETTINGS_KEY: settings})

    assert report.is_proven
    assert [found.examples[0].key for found in report.settings_refused] == ["version 3"]


def test_state_of_a_shard_that_the_specification_does_not_have_is_a_failure() -> None:
    report = verified({codec.memory_key(b"[1]"): memory("{}")}, shard_id=SHARD + 1)

    (found,) = report.failures
    assert (found.kind, found.total) == ("shard", 1)


def test_no_remembered_value_is_in_a_report() -> None:
    entries = {codec.memory_key(b"[%d]" % n): memory(f'{{"things": ["secret {n}"]}}') for n in range(9)}

    report = verified(entries)

    (found,) = report.failures
    assert (found.total, len(found.examples)) == (9, EXAMPLES)
    assert "things.*" in found.reason
    assert "secret" not in report.model_dump_json()


class Talkative(BaseModel):
    things: list[int] = []


class Raising(Agent[Talkative, Talkative]):
    memory_version = 2

    @on(TABLE)
    async def thing(self, ctx: Context[Any, Any], change: Change[Talkative]) -> None: ...

    @staticmethod
    @migrates(1)
    def _raises(content: dict[str, Any]) -> dict[str, Any]:
        raise LookupError(str(content["things"]))


def test_a_report_stays_small_whatever_migrations_raise() -> None:
    entries = {codec.memory_key(b"[%d]" % n): memory(f'{{"things": [{n}]}}') for n in range(500)}

    report = verified(entries, Raising)

    assert len(report.failures) == REASONS + 1
    assert sum(found.total for found in report.failures) == 500
    assert len(report.encode()) < 30_000


def test_reports_of_shards_add_up() -> None:
    good = verified({codec.memory_key(b"[1]"): memory("{}")})
    bad = verified({codec.memory_key(b"[2]"): memory("{"), codec.HEAD_KEY: codec.encode_head(codec.Head())})

    def parts() -> Iterator[Report]:
        yield from (good, bad, bad, verified({}))

    whole = combined("things", parts())

    assert (whole.shards, whole.entries) == (3, {"head": 2, "memory": 3})
    assert whole.size_bytes == good.size_bytes + 2 * bad.size_bytes
    assert [found.total for found in whole.failures] == [2]
    assert Finding.model_validate_json(whole.failures[0].encode()) == whole.failures[0]
