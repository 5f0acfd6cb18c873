"""Fixtures and hooks of the suites that run a real stack; their `conftest.py` imports them from here."""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from headrace.local.scaler import NAME as SCALING
from headrace.local.supervision import Supervisor
from headrace_agents.records import Position, Reason
from tests.pipeline.ledger import Book, Ledger
from tests.pipeline.load import Load
from tests.pipeline.stack import ROOT, LiveStack
from tests.pipeline.waiting import until

DECLARATION = ROOT / "tests" / "local" / "Pulumi.test.yaml"
SETTLE_TIMEOUT_S = 120
CAPTURING = ("postgres", "kafka", "connect", "capture-watch")
"""Programs."""


@dataclass(frozen=True)
class Pipeline:
    """A running stack, its load since it was empty, and the ledger of both."""

    stack: LiveStack
    load: Load
    ledger: Ledger

    def verify(self, timeout_s: float = SETTLE_TIMEOUT_S, may_fail: Collection[Reason] = ()) -> Book:
        """Hold that every change so far has exactly one right outcome from each agent."""
        return self.ledger.verify(self.load.committed, timeout_s, may_fail)

    def decide_an_event(self, timeout_s: float) -> None:
        """Wait for a ticket that the running load opens from now on to be decided by every agent."""
        now = time.monotonic()
        ticket = until("a ticket", lambda: self.load.first_insert_after(now), timeout_s)
        until(f"ticket {ticket} decided", lambda: self.ledger.has_decided(ticket), timeout_s)

    def decide(self, positions: Collection[Position], timeout_s: float = SETTLE_TIMEOUT_S) -> None:
        """Wait for records that a test put onto a topic itself to be decided by every agent that reads it."""
        until("injected records decided", lambda: self.ledger.has_outcomes(positions), timeout_s)

    def settle(self, timeout_s: float = SETTLE_TIMEOUT_S) -> None:
        """Wait until every change so far has an outcome from each agent."""
        self.ledger.settle(self.load.committed, timeout_s)


@pytest.fixture(scope="session")
def pipeline() -> Iterator[Pipeline]:
    """The stack that all tests of a run share, from nothing to up; a test leaves it as it found it: up."""
    yield from running(DECLARATION)


def running(declaration: Path, customers: int = 40, *, scales: bool = True) -> Iterator[Pipeline]:
    """From nothing to up, and to nothing again; the load is spread over so many customers.

    One that does not scale by itself is for tests whose number of subtasks is their own.
    """
    stack = LiveStack(declaration)
    stack.clean()
    try:
        stack.up()
        if not scales:
            Supervisor(stack.files).stop(SCALING)
        made = Pipeline(stack, Load(stack.database, customers=customers), Ledger(stack))
        try:
            yield made
        finally:
            made.load.close()
            made.ledger.close()
    finally:
        stack.clean()


def capturing_alone(stack: LiveStack) -> None:
    """Stop what only agents need: two cores are few."""
    supervisor = Supervisor(stack.files)
    for program in supervisor.pids().keys() - set(CAPTURING):
        supervisor.stop(program)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure says how the stack's processes saw it."""
    report = yield
    found = getattr(item, "funcargs", {}).get("pipeline")
    if report.failed and found is not None:
        report.sections.append(("the ends of the stack's logs", found.stack.log_tails()))
    return report
