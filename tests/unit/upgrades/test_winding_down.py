"""An order to end runs goes to every shard, and their word is heard: over librdkafka's own broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headrace.environment import load_environment
from headrace.plan import plan
from headrace_agents.control import Command, Report
from headrace_agents.spec import AgentJobSpec
from headrace_agents.topics import Broker, read_topic, write
from headrace_agents.upgrades import winding_down
from headrace_agents.upgrades.winding_down import wind_down
from tests.standins.flink.broker import mock_broker
from tests.unit.environment.declarations import SHIPPED

SHARDS = 4


@pytest.fixture
def spec() -> Iterator[AgentJobSpec]:
    found = plan(load_environment(SHIPPED)).agents[0].spec
    with mock_broker(found.feedback.control, found.outputs.reports) as servers:
        kafka = found.kafka.model_copy(update={"bootstrap_servers": servers})
        yield found.model_copy(update={"kafka": kafka, "shards": SHARDS})


class Shards:
    """What plays the agent's job: some of its shards answer where somebody waits."""

    def __init__(self, spec: AgentJobSpec, answering: int) -> None:
        self._spec, self._left = spec, list(range(answering))
        self.orders: list[Command] = []

    def __call__(self, _seconds: float) -> None:
        records = read_topic(Broker.of(self._spec), self._spec.feedback.control)
        self.orders = [Command.model_validate_json(each.value or b"") for each in records]
        while self._left:
            self._tell(self._left.pop())

    def _tell(self, shard: int) -> None:
        told = Report(command=self.orders[0].id, kind="wind_down", shard=shard, done=True)
        others = told.model_copy(update={"command": "another"})
        reports = [(b"", each.model_dump_json().encode()) for each in (others, told)]
        write(Broker.of(self._spec), self._spec.outputs.reports, reports)


def test_it_returns_when_all_shards_have_told(spec: AgentJobSpec) -> None:
    shards = Shards(spec, SHARDS)
    assert wind_down(spec, shards) == 0
    assert [each.kind for each in shards.orders] == ["wind_down"] * SHARDS
    assert len({each.id for each in shards.orders}) == 1


def test_those_that_do_not_tell_are_counted(spec: AgentJobSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winding_down, "SLACK_S", -spec.limits.run_deadline_ms / 1000 + 5)
    assert wind_down(spec, Shards(spec, SHARDS - 1)) == 1


@pytest.mark.parametrize("uncommitted", [True, False])
def test_a_topic_is_read_at_either_level(spec: AgentJobSpec, *, uncommitted: bool) -> None:
    topic = spec.outputs.reports
    write(Broker.of(spec), topic, [(b"k", b"v")])
    found = list(read_topic(Broker.of(spec), topic, uncommitted=uncommitted))
    assert [each.value for each in found] == [b"v"]
