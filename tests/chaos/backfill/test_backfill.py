"""A backfill beside live changes: it holds none of them up, gives each row, and the newest value wins; also
when it is paused, killed and gone on with, or cancelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.local.context import HOST
from headrace.local.provider.backfill import BackfillInputs, BackfillKind
from headrace.local.signals import pause, read_signals, resume, say, start, stop
from headrace.local.topics import Broker
from headrace.operations.backfills import (
    ENDED,
    Progress,
    State,
    find_backfill,
)
from headrace.operations.stack import Stack
from headrace.operations.victims import CONNECT
from tests.chaos.backfill.conftest import DECLARATION
from tests.chaos.backfill.items import FILL, TABLE, Captured, Writing, p99, there
from tests.pipeline.plugin import Pipeline, capturing_alone
from tests.pipeline.sizes import SIZES, in_make_chaos_alone
from tests.pipeline.stack import ENVIRONMENT, LiveStack
from tests.pipeline.waiting import until

CHANGES_PER_SECOND = 200
SLOWER_AT_MOST = 2
"""Live changes' 99th percentile beside a backfill, to that without."""
SOURCE, SIGNALS = "shelf", "shelf.signals"
FEW, OF_FEW = "few", 100
ROWS = SIZES.backfill_rows
UNCHANGED = range(ROWS // 2 + 1, ROWS + 1)
"""Ids of the rows that no live change touches."""
CAPTURED_TIMEOUT_S, ANSWERED_TIMEOUT_S, BACK_TIMEOUT_S = 120 + ROWS // 1_000, 60, 120
LIVE_CHANGES = 200
"""That have to come through while a backfill is paused."""


@pytest.fixture(scope="module")
def stack(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> LiveStack:
    """With a backfill that was declared after the rows were captured; without what only agents need."""
    with pipeline.stack.database() as database:
        database.execute(FILL, [ROWS])
    backfill = {"id": FEW, "tables": [TABLE], "where": f"id <= {OF_FEW}"}
    made = declaring([backfill], tmp_path_factory.mktemp("declared"))
    made.up()
    capturing_alone(made)
    return made


@pytest.fixture(scope="module")
def writing(stack: LiveStack) -> Writing:
    return Writing(stack.database, ROWS, CHANGES_PER_SECOND)


@pytest.fixture(scope="module")
def topic(stack: LiveStack) -> Iterator[Captured]:
    """Followed through all tests."""
    made = Captured(stack.bootstrap_servers)
    yield made
    made.close()


@pytest.fixture
def captured(topic: Captured, stack: LiveStack) -> Iterator[Captured]:
    """What a test saw of the topic; at its end the topic's newest value of every row is the table's."""
    topic.begin(UNCHANGED)
    yield topic
    with stack.database() as database:
        table = dict(database.execute("SELECT id, revision FROM public.items").fetchall())
    topic.follow(lambda: there(topic.rows) == table, ANSWERED_TIMEOUT_S)
    assert topic.stale == []


def test_a_declared_backfill_is_run_once_and_reads_what_its_condition_says(
    stack: LiveStack, captured: Captured
) -> None:
    captured.follow(lambda: captured.live >= ROWS and captured.read >= OF_FEW, CAPTURED_TIMEOUT_S)

    started(stack, FEW, f"id <= {OF_FEW}")  # as `up` does when it is run again

    assert captured.reads == dict.fromkeys(range(1, OF_FEW + 1), 1)
    assert [said.signal.id for said in read_signals(broker(stack), SIGNALS)] == [FEW]
    (told,) = stack.json("backfill", "list")
    assert (told["id"], told["state"], told["rows"]) == (FEW, "done", OF_FEW)


def test_the_newest_value_wins_though_it_is_interrupted_and_gone_on_with_twice(
    stack: LiveStack, captured: Captured, writing: Writing
) -> None:
    """By a pause, by `kill -9` of Connect while it runs, and by that while it is paused."""
    with writing.live():
        captured.follow_to_now(BACK_TIMEOUT_S)
        # Said together: a backfill of this size is at its end before a second command begins.
        say(broker(stack), SIGNALS, SOURCE, [start("broken", [TABLE], {}), pause("broken")])
        in_state(stack, "broken", "paused")
        assert_it_rests_while_live_changes_go_on(captured)
        paused_at = captured.read
        say(broker(stack), SIGNALS, SOURCE, [resume("broken")])
        captured.follow(lambda: captured.read > paused_at, CAPTURED_TIMEOUT_S)
        killed(
            stack, captured, before_it_is_back=lambda: say(broker(stack), SIGNALS, SOURCE, [pause("broken")])
        )
        in_state(stack, "broken", "paused")
        killed(stack, captured)
        assert_it_rests_while_live_changes_go_on(captured)
        assert find_backfill(planned(stack), "broken").state == "paused"
        assert captured.unread, "it was at its end before"
        stack.json("backfill", "resume", "broken")
        captured.follow(lambda: not captured.unread, CAPTURED_TIMEOUT_S)
    in_state(stack, "broken", "done")
    print(f"{captured.read} rows were read of {ROWS}, beside {captured.live} live changes")


def test_a_cancelled_backfill_reads_no_further_and_is_not_started_again(
    stack: LiveStack, captured: Captured, writing: Writing
) -> None:
    with writing.live():
        captured.follow_to_now(BACK_TIMEOUT_S)
        say(broker(stack), SIGNALS, SOURCE, [start("too-much", [TABLE], {}), stop("too-much", [TABLE])])
        in_state(stack, "too-much", "cancelled")
        say(broker(stack), SIGNALS, SOURCE, [start("paused", [TABLE], {}), pause("paused")])
        in_state(stack, "paused", "paused")
        assert stack.json("backfill", "cancel", "paused")["state"] == "cancelled"
        started(stack, "too-much")
        started(stack, "paused")
        assert_it_rests_while_live_changes_go_on(captured)
        assert captured.read < ROWS


@in_make_chaos_alone("that live changes are not held up by a backfill: a time is judged")
def test_live_changes_are_not_held_up_by_a_backfill(
    stack: LiveStack, captured: Captured, writing: Writing
) -> None:
    """The last test, as Java's compiler has seen backfills by then: it is not what is measured."""
    with writing.live():
        alone_ms = late_ms_of_live_changes_alone(captured)
        captured.begin(UNCHANGED)
        with ThreadPoolExecutor(1) as beside_following:
            told = beside_following.submit(started, stack, "beside")
            captured.follow(lambda: not captured.unread, CAPTURED_TIMEOUT_S)
            told.result()
        beside_ms = list(captured.late_ms)
        done = in_state(stack, "beside", "done")
        alone_ms += late_ms_of_live_changes_alone(captured)
    seconds = ((done.ended_at_ms or 0) - (done.started_at_ms or 0)) / 1_000
    alone, beside = p99(alone_ms), p99(beside_ms)
    print(
        f"{done.rows} rows in {seconds:.1f} s beside {len(beside_ms)} live changes: their p99 was"
        f" {beside:.0f} ms, and {alone:.0f} ms of {len(alone_ms)} without"
    )
    assert beside < SLOWER_AT_MOST * alone


def late_ms_of_live_changes_alone(captured: Captured) -> list[float]:
    captured.follow_to_now(BACK_TIMEOUT_S)
    captured.begin(())
    enough = SIZES.backfill_live_s * CHANGES_PER_SECOND // 2
    captured.follow(lambda: captured.live >= enough, CAPTURED_TIMEOUT_S)
    return list(captured.late_ms)


def declaring(backfills: Sequence[dict[str, Any]], folder: Path) -> LiveStack:
    document = yaml.safe_load(DECLARATION.read_text())
    document["config"][ENVIRONMENT]["sources"][0]["backfills"] = list(backfills)
    path = folder / DECLARATION.name
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return LiveStack(path)


def broker(stack: LiveStack) -> Broker:
    return Broker(f"{HOST}:{planned(stack).plan.ports.kafka}")


@cache
def planned(stack: LiveStack) -> Stack:
    """Its plan is worked out once: a backfill would be at its end before the second time."""
    return stack.found


def started(stack: LiveStack, backfill: str, where: str | None = None) -> None:
    """As the provider does it for a declared one."""
    inputs = BackfillInputs(
        bootstrap_servers=broker(stack).bootstrap_servers,
        topic=SIGNALS,
        source=SOURCE,
        id=backfill,
        tables=(TABLE,),
        where={} if where is None else {TABLE: where},
    )
    assert BackfillKind().create(inputs) == {"status": "told"}


def in_state(stack: LiveStack, backfill: str, state: State) -> Progress:
    def found() -> Progress | None:
        progress = find_backfill(planned(stack), backfill)
        assert progress.state == state or progress.state not in ENDED, progress
        return progress if progress.state == state else None

    return until(
        f"{backfill} {state}", found, CAPTURED_TIMEOUT_S, lambda: find_backfill(planned(stack), backfill)
    )


def killed(
    stack: LiveStack, captured: Captured, before_it_is_back: Callable[[], object] = lambda: None
) -> None:
    before = CONNECT.kill(planned(stack))
    before_it_is_back()
    until("connect is back", lambda: CONNECT.is_back(planned(stack), before), BACK_TIMEOUT_S)
    until("connect captures", stack.is_capturing, BACK_TIMEOUT_S)
    captured.follow_to_now(BACK_TIMEOUT_S)


def assert_it_rests_while_live_changes_go_on(captured: Captured) -> None:
    captured.follow_to_now(BACK_TIMEOUT_S)
    read, live = captured.read, captured.live
    captured.follow(lambda: captured.live >= live + LIVE_CHANGES, BACK_TIMEOUT_S)
    assert captured.read == read
