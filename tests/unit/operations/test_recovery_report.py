"""What was seen of a recovery, told in seconds and held to the objective."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from headrace.operations.backlog import Sample
from headrace.operations.recovery_report import Recovery, Restored, report

KILLED_MS = 1_790_000_000_000
USUAL = {"triage": 2_500}


def sample(after_s: float, oldest_s: float, decided_to_s: float, agent: str = "triage") -> Sample:
    """Moments in seconds from the kill."""
    return Sample(
        KILLED_MS + round(after_s * 1000),
        {agent: round(oldest_s * 1000)},
        {agent: KILLED_MS + round(decided_to_s * 1000)},
    )


SEEN = Recovery(
    killed="taskmanager",
    killed_at_ms=KILLED_MS,
    usual_ms=USUAL,
    noticed_at_ms=KILLED_MS + 4_100,
    restored_at_ms=KILLED_MS + 12_000,
    samples=(
        sample(1, 1, -1),
        sample(11, 11, -0.5),
        # Everything from before the restore is decided first: nothing old waits, and it is not over.
        sample(13, 0, 11.9),
        sample(14, 3, 12.5),
        sample(15, 2.5, 13),
        sample(16, 0.1, 15),
    ),
    jobs=(Restored("triage", newest=41, restored_from=41),),
)


def test_each_time_is_counted_from_the_kill() -> None:
    said = report(SEEN, objective_s=30)
    assert (said.detection_s, said.restore_s, said.catch_up_s) == (4.1, 12.0, 15.0)
    assert (said.usual_oldest_s, said.oldest_s) == (2.5, 11.0)
    assert said.met


def test_the_objective_is_met_up_to_its_last_moment() -> None:
    assert report(SEEN, objective_s=15).met
    assert not report(SEEN, objective_s=14.9).met


def test_what_is_restored_in_time_and_catches_up_too_late_is_missed() -> None:
    said = report(SEEN, objective_s=13)
    assert said.restore_s is not None
    assert said.restore_s <= 13
    assert not said.met


def test_without_a_restore_nothing_is_caught_up() -> None:
    said = report(replace(SEEN, restored_at_ms=None), objective_s=30)
    assert (said.detection_s, said.restore_s, said.catch_up_s, said.met) == (4.1, None, None, False)


def test_every_agent_under_load_has_to_catch_up() -> None:
    usual = USUAL | {"risk": 100}
    late = Sample(
        KILLED_MS + 20_000,
        {"triage": 0, "risk": 100},
        {"triage": KILLED_MS + 19_000, "risk": KILLED_MS + 19_000},
    )
    samples = [Sample(s.at_ms, {**s.oldest_ms, "risk": 0}, s.decided_to_ms) for s in SEEN.samples]
    seen = replace(SEEN, usual_ms=usual, samples=samples)
    assert report(seen, objective_s=30).catch_up_s is None
    assert report(replace(seen, samples=[*samples, late]), objective_s=30).catch_up_s == 20.0


def test_an_agent_that_decides_nothing_is_not_waited_for() -> None:
    idle = [Sample(s.at_ms, {**s.oldest_ms, "paused": 90_000}, s.decided_to_ms) for s in SEEN.samples]
    said = report(replace(SEEN, samples=idle), objective_s=30)
    assert (said.catch_up_s, said.oldest_s) == (15.0, 11.0)


def test_what_does_not_run_at_the_end_is_a_miss() -> None:
    said = report(replace(SEEN, missing=("taskmanager-2 is not registered",)), objective_s=30)
    assert said.catch_up_s == 15.0
    assert not said.met


def test_an_older_checkpoint_than_the_newest_is_a_miss() -> None:
    older = Restored("triage", newest=41, restored_from=40)
    assert not report(replace(SEEN, jobs=(older,)), objective_s=30).met
    newer = Restored("triage", newest=41, restored_from=42)
    assert report(replace(SEEN, jobs=(newer,)), objective_s=30).met
    first = Restored("triage", newest=None, restored_from=None)
    assert report(replace(SEEN, jobs=(first,)), objective_s=30).met


def test_it_is_json_with_its_verdict() -> None:
    said = report(SEEN, objective_s=30).as_json()
    assert said["met"] is True
    assert said["jobs"] == ({"agent": "triage", "newest": 41, "restored_from": 41},)
    assert said["killed"] == "taskmanager"


@st.composite
def recoveries(draw: st.DrawFn) -> Recovery:
    seconds = st.integers(0, 200)
    noticed = draw(seconds)
    restored = noticed + draw(seconds)
    moments = sorted(draw(st.lists(seconds, max_size=20)))
    samples = [sample(at, draw(st.integers(0, 60)), draw(seconds)) for at in moments]
    return Recovery(
        killed="worker",
        killed_at_ms=KILLED_MS,
        usual_ms={"triage": draw(st.integers(0, 10_000))},
        noticed_at_ms=KILLED_MS + noticed * 1000,
        restored_at_ms=KILLED_MS + restored * 1000,
        samples=samples,
    )


@given(recoveries(), st.floats(1, 300), st.floats(1, 300))
def test_the_times_come_one_after_the_other_and_a_longer_objective_is_met_as_well(
    seen: Recovery, one_s: float, other_s: float
) -> None:
    said = report(seen, min(one_s, other_s))
    if said.catch_up_s is not None:
        assert said.detection_s is not None
        assert said.restore_s is not None
        assert said.detection_s <= said.restore_s <= said.catch_up_s
    assert report(seen, max(one_s, other_s)).met or not said.met
