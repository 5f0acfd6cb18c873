"""`up` refuses what can't go well before it starts anything."""

from __future__ import annotations

import os
from pathlib import Path

from tests.pipeline.plugin import DECLARATION, Pipeline
from tests.pipeline.stack import listening_socket, renamed
from tests.pipeline.waiting import until

PORT_BASE = 27300


def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path) -> None:
    stack = renamed(DECLARATION, tmp_path, "port-taken", PORT_BASE)
    with listening_socket(stack.plan.ports.kafka):
        done = stack.run("up")
    assert done.code != 0
    expected = (str(stack.plan.ports.kafka), "kafka", "substrate.port_base", str(os.getpid()), "nothing was")
    for text in expected:
        assert text in done.output, f"{text} not in:\n{done.output}"
    assert not stack.members()
    assert not stack.session_members()
    assert not stack.files.root.exists()


def test_the_second_of_two_commands_at_once_is_refused(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    first = stack.start("up")
    try:
        until("the first holds the lock", stack.session_members, 60)
        second = stack.run("up")
        assert second.code != 0
        assert f"pid {first.pid}" in second.output
    finally:
        output, _ = first.communicate(timeout=240)
    assert first.returncode == 0, output
    assert stack.jobs_running()
