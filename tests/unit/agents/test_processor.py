"""What a process needs of the processor: used and waited for, growing though threads end."""

from __future__ import annotations

import time

from headrace_agents.processor import LOOK_S, Needed, waited_by_thread_ns

MS = 1_000_000


def test_what_is_waited_for_counts_and_a_thread_that_ended_takes_nothing_back() -> None:
    waited = {"1": 10 * MS, "2": 20 * MS}
    now, used = [0.0], [5 * MS]
    needed = Needed(lambda: dict(waited), lambda: used[0], lambda: now[0])
    assert needed.ms() == 35
    del waited["2"]
    waited["1"], used[0], now[0] = 40 * MS, 6 * MS, LOOK_S
    assert needed.ms() == 66
    waited["3"], now[0] = 4 * MS, 2 * LOOK_S
    assert needed.ms() == 70


def test_threads_are_looked_at_once_in_a_while() -> None:
    looks: list[int] = []

    def look() -> dict[str, int]:
        looks.append(1)
        return {}

    needed = Needed(look, lambda: 0, lambda: 0.0)
    assert [needed.ms(), needed.ms()] == [0, 0]
    assert len(looks) == 1


def test_this_process_needs_what_it_uses() -> None:
    needed = Needed()
    before, started = needed.ms(), time.process_time()
    while time.process_time() - started < 0.05:
        pass
    assert needed.ms() - before >= 49
    assert waited_by_thread_ns()
