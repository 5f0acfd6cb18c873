"""An upgrade that is killed at any moment is ended well by the next command, whatever that one wants.

Flink and Kafka are a few variables here; on the real parts it is `tests/chaos/upgrade`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel

from headrace.environment import load_environment
from headrace.errors import HeadraceError
from headrace.plan import plan
from headrace.upgrades import upgrade, watching
from headrace.upgrades.proof import Refused
from headrace.upgrades.record import History, Upgrade
from headrace.upgrades.upgrade import AgentUpgrade, RolledBack, end_interrupted
from headrace_agents.spec import AgentJobSpec
from headrace_agents.upgrades.conduct import Conduct
from headrace_agents.upgrades.told import CaughtUp, Seen, Undoing
from headrace_agents.upgrades.vitals import Vitals
from tests.unit.environment.declarations import SHIPPED

SPEC = plan(load_environment(SHIPPED)).agents[0].spec
OLD, GOOD, BAD, UNREADABLE, OTHER = "old", "good", "bad", "unreadable", "other"
NEVER_RUNS = "never runs"
"""It fails again and again, before all of its tasks run."""
MOST_MOMENTS = 200


class Killed(BaseException):
    """The command's process is gone."""


class Inputs(BaseModel):
    """A version, by its code alone."""

    code: str
    healthy_for_s: float = 0
    drains_runs: bool = True

    @property
    def name(self) -> str:
        return SPEC.name

    @property
    def job_spec(self) -> AgentJobSpec:
        return SPEC.model_copy(update={"code": self.code})

    @property
    def digest(self) -> str:
        return self.code


class Snapshot(NamedTuple):
    of: str
    """The version that wrote it."""
    sees: tuple[str, ...]
    """Versions whose decisions are in it, the first one first."""


class World:
    """What outlives a command: the job, its snapshots, notes in the journal, and the history."""

    def __init__(self) -> None:
        self.job: Snapshot | None = Snapshot(OLD, (OLD,))
        self.snapshots: list[Snapshot] = []
        self.noted = False
        self.documents: dict[str, str] = {}
        self.kill_at: int | None = None
        self.by: type[BaseException] = Killed
        self.moments = 0
        self.sight = True
        """Whether who watches sees anything."""

    def moment(self) -> None:
        """The command may be killed here, or what it asks may fail."""
        self.moments += 1
        if self.moments == self.kill_at:
            raise self.by("here")


class Written(History):
    def __init__(self, world: World) -> None:
        self._world = world

    def _write(self, upgrade: Upgrade) -> None:
        self._world.moment()
        self._world.documents[upgrade.id] = upgrade.model_dump_json()
        self._world.moment()

    def _remove(self, upgrade: Upgrade) -> None:
        self._world.documents.pop(upgrade.id)

    def _documents(self) -> Iterator[str]:
        return iter(self._world.documents.values())


class Place:
    """Agent, cluster and broker in one."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.history = Written(world)
        self.topics = self

    # The agent's job

    def recorded(self, inputs: Mapping[str, Any]) -> Inputs:
        return Inputs.model_validate(inputs)

    def reach(self) -> None:
        self._world.moment()

    def has_job(self) -> bool:
        return self._world.job is not None

    def running(self) -> str | None:
        return self._world.job.of if self._world.job else None

    def prove(self, new: Inputs) -> dict[str, Any] | None:
        self._world.moment()
        if new.code == UNREADABLE:
            raise Refused("no", {"agent": new.name})
        return {"agent": new.name}

    @contextmanager
    def starting(self, version: Inputs) -> Iterator[Starting]:
        self._world.moment()
        yield Starting(self._world, version)

    def stop(self) -> None:
        world = self._world
        world.moment()
        if world.job is not None:
            world.snapshots.append(world.job)
            world.moment()
            world.job = None
        world.moment()

    def newest_snapshot(self) -> str | None:
        return str(len(self._world.snapshots) - 1) if self._world.snapshots else None

    def undo(self, digest: str) -> None:
        world = self._world
        world.moment()
        if world.job is not None and world.job.of == digest:
            world.job = None
        world.moment()
        world.snapshots = [each for each in world.snapshots if each.of != digest]
        world.moment()

    def wait_until_running(self, most_failures: int | None = None) -> None:
        self._world.moment()
        assert self._world.job is not None
        if self._world.job.of == NEVER_RUNS:
            assert most_failures is not None, "this would be waited for in vain"
            raise HeadraceError("it failed again and again")

    def watched(self, version: Inputs, cutover: object) -> Any:
        def look() -> Seen | None:
            self._world.moment()
            if not self._world.sight:
                return None
            job = self._world.job
            failures = 2 if job is not None and job.of == BAD else 0
            vitals = Vitals(failures=failures, failure="bad", checkpoints=1, checkpoint_ms=0)
            return Seen(vitals=vitals, backlog=0, conduct=Conduct())

        return nullcontext(look)

    # Its topics

    def conduct(self, spec: AgentJobSpec) -> Conduct:
        self._world.moment()
        return Conduct()

    def ends(self, spec: AgentJobSpec) -> tuple[dict[int, int], dict[int, int]]:
        assert self._world.job is None, "what is read while a job writes is no end"
        self._world.moment()
        return {}, {}

    def wind_down(self, spec: AgentJobSpec) -> int:
        self._world.moment()
        return 0

    def between_decisions_s(self, spec: AgentJobSpec, cutover: object) -> float | None:
        self._world.moment()
        return 1.0

    def undoing(self, spec: AgentJobSpec) -> Undoing:
        self._world.moment()
        return Undoing(outcomes={}, reports={})

    def note_decided(self, *_: object) -> None:
        assert self._world.job is None, "a job that runs does not read its journal again"
        self._world.noted = True
        self._world.moment()

    def catch_up(self, *_: object) -> CaughtUp:
        self._world.moment()
        return CaughtUp(decided=0, dead_lettered=0, in_memory=0)


class Starting:
    def __init__(self, world: World, version: Inputs) -> None:
        self._world, self._version = world, version

    def wait_until_ready(self) -> None:
        self._world.moment()

    def go(self, snapshot: str | None) -> None:
        world, code = self._world, self._version.code
        world.moment()
        assert world.job is None, "two jobs of one agent"
        found = world.snapshots[int(snapshot or 0)]
        assert BAD not in found.sees or code == BAD, "no version goes on from what an undone one made of it"
        world.job = Snapshot(code, (*found.sees, code))
        world.moment()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_EVERY_S", 0.0)
    # Two upgrades of one millisecond would be one: here they may come so fast.
    monkeypatch.setattr(upgrade, "_now_ms", itertools.count(1).__next__)


def command(world: World, wanted: str) -> None:
    """What the agent's resource does; the engine remembers the old version until a command ends well."""
    place, before, after = Place(world), Inputs(code=OLD), Inputs(code=wanted)
    before = end_interrupted(after, place, lambda _: None) or before
    if before.digest != after.digest:
        AgentUpgrade(before, after, place, lambda _: None).run()
    elif not place.has_job():
        with place.starting(after) as start:
            start.go(place.newest_snapshot())


def ended(world: World, wanted: str) -> type[BaseException] | None:
    """How a command ends."""
    try:
        command(world, wanted)
    except (Killed, HeadraceError) as error:
        return type(error)
    return None


def interrupted_everywhere(
    first: str, by: type[BaseException]
) -> Iterator[tuple[World, type[BaseException] | None]]:
    """A command for this version, interrupted at each moment in turn."""
    for kill_at in range(1, MOST_MOMENTS):
        world = World()
        world.kill_at, world.by = kill_at, by
        result = ended(world, first)
        if world.moments < kill_at:
            assert kill_at > 5, "there are many moments"
            return
        world.kill_at = None
        yield world, result
    raise AssertionError("it came to no end")


def killed_everywhere(first: str, then: str) -> Iterator[tuple[World, type[BaseException] | None]]:
    """A command for the first version, killed at each moment in turn, then one for the second."""
    for world, _ in interrupted_everywhere(first, Killed):
        yield world, ended(world, then)


def outcomes(world: World) -> list[str | None]:
    history = Written(world).all()
    assert all(each.phase == "ended" for each in history)
    return [each.outcome for each in history]


def test_a_good_version_runs_in_the_end() -> None:
    for world, result in killed_everywhere(GOOD, GOOD):
        assert result is None
        assert world.job is not None
        assert world.job.of == GOOD
        assert outcomes(world).count("upgraded") == 1
        assert not world.noted


@pytest.mark.parametrize("bad", [BAD, NEVER_RUNS])
def test_a_bad_version_is_undone_in_the_end_and_what_it_decided_is_noted(bad: str) -> None:
    for world, result in killed_everywhere(bad, bad):
        assert result is RolledBack
        assert world.job is not None
        assert world.job.of == OLD
        assert bad not in world.job.sees
        assert outcomes(world)[-1] == "rolled_back"
        assert world.noted


def test_a_version_that_cannot_read_the_state_touches_nothing() -> None:
    for world, result in killed_everywhere(UNREADABLE, UNREADABLE):
        assert result is Refused
        assert world.job == Snapshot(OLD, (OLD,))
        assert outcomes(world)[-1] == "refused"


@pytest.mark.parametrize("first", [GOOD, BAD])
def test_another_version_that_is_wanted_next_goes_on_from_none_that_was_not_found_healthy(first: str) -> None:
    for world, result in killed_everywhere(first, OTHER):
        # One that was being undone is told of first, and the command after it brings the other one.
        again = ended(world, OTHER) if result is RolledBack else result
        assert again is None
        assert world.job is not None
        assert world.job.of == OTHER
        was_upgraded = outcomes(world).count("upgraded") == 2
        assert (first in world.job.sees) == was_upgraded
        assert not (first == BAD and was_upgraded)


def test_the_old_version_that_is_wanted_again_runs_and_what_ran_is_known() -> None:
    for world, result in killed_everywhere(GOOD, OLD):
        assert result in (None, RolledBack)
        assert world.job is not None
        assert world.job.of == OLD
        # Where the other one had been found healthy, this is an upgrade from that.
        assert (GOOD in world.job.sees) == (outcomes(world).count("upgraded") == 2)


@pytest.mark.parametrize("wanted", [GOOD, BAD])
def test_whatever_fails_is_made_good_by_the_next_command(wanted: str) -> None:
    for world, first in interrupted_everywhere(wanted, HeadraceError):
        again = ended(world, wanted)
        assert again is (None if wanted == GOOD else RolledBack)
        assert world.job is not None
        assert world.job.of == (GOOD if wanted == GOOD else OLD)
        assert BAD not in world.job.sees or wanted == GOOD
        if first is None:
            assert outcomes(world).count("upgraded") == 1, "what failed was a figure"


def test_an_agent_whose_topics_can_not_be_asked_after_its_stop_runs_on() -> None:
    class Mute(Place):
        def ends(self, spec: AgentJobSpec) -> tuple[dict[int, int], dict[int, int]]:
            raise HeadraceError("no answer")

    world = World()
    with pytest.raises(HeadraceError, match="no answer"):
        AgentUpgrade(Inputs(code=OLD), Inputs(code=GOOD), Mute(world), lambda _: None).run()
    assert world.job == Snapshot(OLD, (OLD, OLD))
    assert outcomes(world) == ["refused"]


def test_a_version_whose_job_has_ended_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "GONE_S", 0.0)

    class Ending(Place):
        def watched(self, version: Inputs, cutover: object) -> Any:
            if self._world.job is not None and self._world.job.of == GOOD:
                self._world.job = None
            return nullcontext(lambda: None)

    world = World()
    with pytest.raises(RolledBack, match="its job has ended"):
        AgentUpgrade(Inputs(code=OLD), Inputs(code=GOOD), Ending(world), lambda _: None).run()
    assert world.job == Snapshot(OLD, (OLD, OLD))


def test_a_watch_that_sees_nothing_ends_without_a_word_and_is_taken_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "UNSEEN_S", 0.0)
    world = World()
    world.sight = False
    with pytest.raises(HeadraceError, match="nothing was to be seen"):
        command(world, GOOD)
    world.sight = True
    command(world, GOOD)
    assert outcomes(world) == ["upgraded"]
