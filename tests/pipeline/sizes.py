"""How much a run does: `HEADRACE_TEST_SIZE=full` for what an issue is closed with, else the small sizes."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Sizes:
    """The same tests, other numbers."""

    transactions_per_second: float
    """Of the load that runs while something is killed."""
    kill_rounds: int
    """How often each process is killed."""
    interruptions: int
    """Moments at which `up` is killed."""
    agent_events: int
    """Tickets that a chronicle sees while everything under it breaks."""
    agent_keys: int
    agent_kills: int
    """Of a Python worker, of a TaskManager and of a JobManager each."""
    journal_records: int
    """That a restore is not to read."""
    limited_s: int
    """Seconds of load that the model's provider, or the calls in flight, are too few for."""
    spike_s: int
    """Seconds of ten times the load."""
    rate_limited_s: int
    """Seconds for which each number of subtasks keeps a limit in requests a minute."""
    capture_per_second: float
    """Changes of a captured table, while what captures it is killed."""
    capture_s: int
    """Seconds of that, at least."""
    capture_connect_kills: int
    capture_other_kills: int
    """Of Kafka and of PostgreSQL each."""
    capture_key_kills: int
    """Of Connect, each in the midst of changes of keys."""
    backfill_rows: int
    """Of a table that is read once more, beside live changes."""
    backfill_live_s: int
    """Of live changes alone, to which those beside a backfill are compared."""


SMALL = Sizes(
    transactions_per_second=15,
    kill_rounds=1,
    interruptions=1,
    agent_events=2_000,
    agent_keys=200,
    agent_kills=1,
    journal_records=100_000,
    limited_s=20,
    spike_s=30,
    rate_limited_s=30,
    capture_per_second=200,
    capture_s=30,
    capture_connect_kills=2,
    capture_other_kills=1,
    capture_key_kills=3,
    backfill_rows=50_000,
    backfill_live_s=20,
)
FULL = Sizes(
    transactions_per_second=40,
    kill_rounds=3,
    interruptions=10,
    agent_events=20_000,
    agent_keys=2_000,
    agent_kills=10,
    journal_records=1_000_000,
    limited_s=60,
    spike_s=120,
    rate_limited_s=90,
    capture_per_second=1_000,
    capture_s=120,
    capture_connect_kills=10,
    capture_other_kills=3,
    capture_key_kills=10,
    backfill_rows=1_000_000,
    backfill_live_s=60,
)

IS_FULL = os.environ.get("HEADRACE_TEST_SIZE") == "full"
SIZES = FULL if IS_FULL else SMALL


def in_make_chaos_alone(what: str) -> pytest.MarkDecorator:
    """Leaves out what `make test` has no time for, and says what is not proved then."""
    return _at_full_size_alone(what, "make chaos")


def in_make_engine_alone(what: str) -> pytest.MarkDecorator:
    """The same, of the engine's suite."""
    return _at_full_size_alone(what, "make engine")


def in_test_local_at_full_size(what: str) -> pytest.MarkDecorator:
    """The same, of what takes longer than it should here."""
    return _at_full_size_alone(what, "HEADRACE_TEST_SIZE=full make test-local")


def _at_full_size_alone(what: str, verb: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not IS_FULL, reason=f"not proved: {what} (`{verb}` does)")
