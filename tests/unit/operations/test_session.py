"""One command at a time, and no trace of a killed one: with real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from headrace.local.files import StackFiles
from headrace.local.processes import SESSION_MARKER
from headrace.operations.session import SessionBusy, session

HOLDER = """
import sys, time
from pathlib import Path
from headrace.local.files import StackFiles
from headrace.operations.session import session
with session(StackFiles(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def files(tmp_path: Path) -> StackFiles:
    return StackFiles(tmp_path / "stack")


@contextmanager
def running(*command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has said its first line."""
    process = subprocess.Popen(
        [sys.executable, *command], env=os.environ | environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def marked_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    script = "import time; print('here', flush=True); time.sleep(600)"
    with running("-c", script, **{SESSION_MARKER: str(folder.resolve())}) as process:
        yield process


def test_a_second_command_is_refused_with_the_pid_of_the_first(files: StackFiles) -> None:
    with running("-c", HOLDER, str(files.root)) as holder:
        with pytest.raises(SessionBusy) as refused, session(files):
            pass
        assert f"(pid {holder.pid})" in str(refused.value)
        assert str(files.root) in str(refused.value)
        assert holder.poll() is None


def test_the_lock_of_a_killed_command_is_free(files: StackFiles) -> None:
    with running("-c", HOLDER, str(files.root)) as holder:
        holder.kill()
        holder.wait()
        with session(files):
            assert files.session_lock.read_text() == str(os.getpid())


def test_the_lock_is_free_after_an_error(files: StackFiles) -> None:
    with pytest.raises(ZeroDivisionError), session(files):
        raise ZeroDivisionError
    with session(files):
        pass


def test_what_a_killed_command_left_running_is_ended(files: StackFiles) -> None:
    with marked_process(files.root) as orphan, session(files):
        assert not psutil.pid_exists(orphan.pid)


def test_what_belongs_to_another_stack_is_left_alone(files: StackFiles, tmp_path: Path) -> None:
    with marked_process(tmp_path / "other") as process, session(files):
        assert psutil.Process(process.pid).is_running()
        assert process.poll() is None
