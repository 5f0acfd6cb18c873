"""`down` leaves no process, no port, and everything that `up` needs to go on as if nothing had been."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from headrace.local.postgres import UNPRIVILEGED
from headrace.state.layout import SAVEPOINTS
from headrace.toolchain.runtimes import Runtimes
from tests.pipeline.plugin import Pipeline
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

STOP_TIMEOUT_S = 60


def test_down_stops_everything_and_up_goes_on_where_it_was(pipeline: Pipeline) -> None:
    stack, load = pipeline.stack, pipeline.load
    load.insert(200)
    pipeline.settle()
    before = savepoints(stack)
    load.insert(50)  # may be undecided at the moment of the savepoint
    pipeline.ledger.close()
    try:
        stack.down()
        assert not stack.members()
        assert not stack.session_members()
        assert not stack.open_ports()
        made = savepoints(stack) - before
        assert {agent_of(path) for path in made} == set(stack.agents)
        with database_alone(stack):
            load.insert(60)
            load.update(20)
    finally:
        stack.up()
    load.insert(20)
    pipeline.verify()


def savepoints(stack: LiveStack) -> set[Path]:
    """Complete ones, as the object store's folder has them."""
    return set((stack.files.data("object-store") / SAVEPOINTS).glob("*/*/_metadata"))


def agent_of(savepoint: Path) -> str:
    return savepoint.parents[1].name


@contextmanager
def database_alone(stack: LiveStack) -> Iterator[None]:
    """The source database goes on while the stack is down, as a customer's does."""
    config = stack.files.etc("postgres") / "postgresql.conf"
    server = [str(Runtimes.locate().postgres / "bin" / "postgres"), "-D", str(stack.files.data("postgres"))]
    prefix = UNPRIVILEGED if os.geteuid() == 0 else ()
    process = subprocess.Popen([*prefix, *server, f"--config-file={config}"], stderr=subprocess.DEVNULL)
    try:
        until("the database answers", lambda: answers(stack), STOP_TIMEOUT_S)
        yield
    finally:
        process.send_signal(2)  # fast shutdown
        process.wait(STOP_TIMEOUT_S)


def answers(stack: LiveStack) -> bool:
    try:
        stack.database().close()
    except psycopg.OperationalError:
        return False
    return True
