"""A worker ends when its TaskManager is gone, and when its interpreter is held; otherwise it goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace_agents.flink.worker_end import _error_output

WORKER = """
import os, re, sys, threading, time
from headrace_agents.flink.worker_end import watch

task_manager = os.pidfd_open(int(sys.argv[1]))
held_s = float(sys.argv[3])
threading.Thread(target=watch, args=(task_manager, sys.stderr, held_s), daemon=True).start()

def handler():
    re.fullmatch("(a+)+b", "a" * 64)

if sys.argv[2] == "held":
    handler()
time.sleep(2 * held_s)
print("worked on", flush=True)
sys.stdin.read()
"""
PATIENCE_S = 60


def worker(task_manager: int, does: str, held_s: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(task_manager), does, str(held_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def task_manager() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def test_a_worker_whose_interpreter_is_held_ends_and_says_where(
    task_manager: subprocess.Popen[bytes],
) -> None:
    with worker(task_manager.pid, "held", 1) as held:
        _, said = held.communicate(timeout=PATIENCE_S)
    assert held.returncode == 1
    assert "in handler" in said


def test_what_a_process_says_where_it_says_errors_is_written_behind_it(tmp_path: Path) -> None:
    said = tmp_path / "log"
    with said.open("w") as log, subprocess.Popen(["sleep", "600"], stderr=log) as process:
        log.write("before\n")
        log.flush()
        output = _error_output(process.pid)
        assert output is not None
        output.write("held here\n")
        output.close()
        process.kill()
    assert said.read_text() == "before\nheld here\n"


def test_a_worker_goes_on_for_as_long_as_its_task_manager(task_manager: subprocess.Popen[bytes]) -> None:
    with worker(task_manager.pid, "waits", 5) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "worked on\n"
        assert waiting.poll() is None
        task_manager.kill()
        assert waiting.wait(PATIENCE_S) == 1
