"""Threads for calls that block: bounded, abandoned without harm, no reason for a process to stay."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from headrace_agents.model.daemon_threads import DaemonThreads


def test_what_a_call_returns_or_raises_comes_back() -> None:
    def fail() -> None:
        raise LookupError("no")

    async def run() -> None:
        threads = DaemonThreads(1, "test")
        assert await threads.run(lambda: 1 + 1) == 2
        with pytest.raises(LookupError, match="no"):
            await threads.run(fail)
        threads.close()

    asyncio.run(run())


def named(name: str) -> int:
    return sum(thread.name == name for thread in threading.enumerate())


def test_no_more_threads_than_allowed_and_no_more_than_needed() -> None:
    async def run() -> None:
        threads = DaemonThreads(3, "counted")
        for _ in range(5):
            await threads.run(lambda: None)
        assert named("counted") == 1
        go_on = threading.Event()
        calls = [asyncio.ensure_future(threads.run(go_on.wait)) for _ in range(10)]
        await asyncio.sleep(0)
        assert named("counted") == 3
        go_on.set()
        assert await asyncio.gather(*calls) == [True] * 10
        threads.close()
        while named("counted"):  # noqa: ASYNC110 - of threads
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(run(), 10))


def test_a_call_that_was_cancelled_before_its_turn_is_never_made() -> None:
    made: list[str] = []

    async def run() -> None:
        threads, go_on = DaemonThreads(1, "test"), threading.Event()
        first = asyncio.ensure_future(threads.run(go_on.wait))
        second = asyncio.ensure_future(threads.run(lambda: made.append("second")))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        go_on.set()
        await first
        await threads.run(lambda: made.append("third"))
        threads.close()

    asyncio.run(run())

    assert made == ["third"]


def test_a_call_that_hangs_holds_up_no_end_of_the_process() -> None:
    code = """
import asyncio, threading
from headrace_agents.model.daemon_threads import DaemonThreads

async def run():
    call = asyncio.ensure_future(DaemonThreads(1, "hangs").run(threading.Event().wait))
    await asyncio.sleep(0.05)
    call.cancel()

asyncio.run(run())
"""
    began = time.monotonic()

    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=20)

    assert done.returncode == 0
    assert time.monotonic() - began < 10
