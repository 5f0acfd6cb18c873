"""Processes as resources, by the real engine: created, changed, mended, replaced, refused, removed."""

from __future__ import annotations

import os
import socket
import sys
import threading
from itertools import takewhile
from pathlib import Path

import pytest

from headrace.local.processes import SESSION_MARKER, STACK_MARKER, marked
from headrace.operations.engine import EngineFailed
from headrace.operations.session import session
from headrace.waiting import wait_until
from tests.engine.project import PROGRAM, Project, free_port, greeting, listens
from tests.pipeline.stack import ROOT


def failed_up(project: Project, capfd: pytest.CaptureFixture[str]) -> str:
    """What the engine prints of an `up` that fails."""
    capfd.readouterr()
    with pytest.raises(EngineFailed, match="run the same command again"):
        project.engine.up()
    return "".join(capfd.readouterr())


def reason(output: str) -> str:
    """The engine's last word on the process ``server``: what a person reads.

    Other resources' sections follow it in any order: the program's own, when the interrupt that ends a failed
    update still found it running.
    """
    after = output.split("headrace-local:index:Process (server):\n")[1]
    return "\n".join(takewhile(lambda line: not line or line.startswith("    "), after.split("\n")))


def test_up_creates_and_a_second_up_changes_nothing(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    project.declare(server=project.server("server", port))
    project.engine.up()
    assert greeting(port) == "hello"
    assert "+ 3 created" in capfd.readouterr().out
    before = project.pids()

    project.engine.up()

    output = capfd.readouterr().out
    assert "3 unchanged" in output
    assert "updated" not in output
    assert project.pids() == before


def test_a_changed_file_is_previewed_and_restarts_that_process_alone(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    port, other = free_port(), free_port()
    project.declare(server=project.server("server", port), other=project.server("other", other))
    project.engine.up()
    before = project.pids()
    capfd.readouterr()

    project.declare(
        server=project.server("server", port, greeting="good evening"), other=project.server("other", other)
    )
    project.engine.preview()
    preview = capfd.readouterr().out
    assert "~ headrace-local:index:Process: (update)" in preview
    assert "~ files" in preview
    assert "good evening" in preview
    assert "1 to update" in preview
    assert "3 unchanged" in preview
    assert project.pids() == before
    assert greeting(port) == "hello"

    project.engine.up()
    after = project.pids()
    assert greeting(port) == "good evening"
    assert after["server"] != before["server"]
    assert after["other"] == before["other"]


def test_a_process_stopped_behind_the_back_is_seen_and_mended(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    project.declare(server=project.server("server", port))
    project.engine.up()
    project.supervisor._call("stopProcess", "server")
    assert not listens(port)
    capfd.readouterr()

    project.engine.preview()
    preview = capfd.readouterr().out
    assert "1 to update" in preview
    assert "status" in preview
    assert not listens(port)

    project.engine.up()
    assert greeting(port) == "hello"


def test_whether_a_process_on_standby_runs_is_no_difference(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    project.declare(server=project.server("server", port, standby=True))
    project.engine.up()
    assert not listens(port)
    project.supervisor.ensure_started("server")
    wait_until("the server", lambda: listens(port), 20)
    capfd.readouterr()
    project.engine.up()
    assert "3 unchanged" in capfd.readouterr().out
    assert listens(port)
    project.supervisor.stop("server")
    project.engine.up()
    assert "3 unchanged" in capfd.readouterr().out
    assert not listens(port)


def test_what_an_interrupted_clean_has_removed_is_there_after_the_next_up(project: Project) -> None:
    port = free_port()
    project.declare(server=project.server("server", port))
    project.engine.up()
    project.supervisor.remove("server")
    project.supervisor.shut_down()

    project.engine.up()

    assert greeting(port) == "hello"


def test_another_name_is_another_process(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    project.declare(server=project.server("old", port))
    project.engine.up()
    capfd.readouterr()

    project.declare(server=project.server("new", port))
    project.engine.up()

    assert "1 replaced" in capfd.readouterr().out
    assert list(project.pids()) == ["new"]
    assert greeting(port) == "hello"


def test_what_is_no_longer_declared_is_stopped(project: Project) -> None:
    port, other = free_port(), free_port()
    project.declare(server=project.server("server", port), other=project.server("other", other))
    project.engine.up()

    project.declare(server=project.server("server", port))
    project.engine.up()

    assert list(project.pids()) == ["server"]
    assert not listens(other)


def test_a_process_that_fails_says_so_with_the_end_of_its_log(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    kind, inputs = project.server("server", free_port())
    words = "no such luck"
    inputs["command"] = [sys.executable, "-c", f"raise SystemExit('{words}')"]
    inputs["ready"]["timeout_s"] = 3
    project.declare(server=(kind, inputs))

    said = reason(failed_up(project, capfd))

    assert said.strip().startswith("error: server ready: not within 3 s; the end of ")
    assert str(project.files.log("server")) in said
    assert words in said
    assert 'File "' not in said


def test_an_interrupted_create_is_adopted(project: Project) -> None:
    port, gate = free_port(), project.folder / "gate"
    kind, inputs = project.server("server", port)
    inputs["command"][-1] = str(gate)
    project.declare(server=(kind, inputs))

    def up_that_is_killed() -> None:
        with pytest.raises(EngineFailed):
            project.engine.up()

    interrupted = threading.Thread(target=up_that_is_killed)
    interrupted.start()
    wait_until("the process", project.pids, 60)
    before = project.pids()
    for process in marked(SESSION_MARKER, project.files.root):
        process.kill()
    interrupted.join()
    gate.touch()

    with session(project.files):
        assert project.engine.export()["deployment"]["pending_operations"]
        project.engine.clear_interrupted()
        assert "pending_operations" not in project.engine.export()["deployment"]
        project.engine.up()

    assert project.pids() == before
    assert greeting(port) == "hello"
    copies = [p for p in marked(STACK_MARKER, project.files.root) if str(port) in p.cmdline()]
    assert len(copies) == 1


def test_a_taken_port_is_refused_with_its_holder(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        project.declare(server=project.server("server", port))
        said = reason(failed_up(project, capfd))
    assert said.strip().startswith("error: ports that this stack needs are taken:")
    assert f"{port} (server's port): held by" in said
    assert f"pid {os.getpid()}" in said
    assert said.rstrip().endswith("nothing was started")
    assert project.supervisor.status("server") == "absent"
    assert not (project.files.data("server") / "prepared").exists()


def test_a_program_that_is_interrupted_by_a_failed_update_prints_no_trace(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        server = project.server("server", holder.getsockname()[1])
        project.declare(goes_on_s=20, server=server)
        output = failed_up(project, capfd)

    assert "Traceback" not in output
    shipped = (ROOT / "stacks" / "__main__.py").read_text()
    for text in (PROGRAM, shipped):
        assert "signal.signal(signal.SIGINT, signal.SIG_DFL)" in text


def test_an_unknown_input_is_refused_by_its_name(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    project.declare(server=project.server("server", free_port(), comand=["typo"]))
    output = failed_up(project, capfd)
    assert "property comand value" in output
    assert "Extra inputs are not permitted (given: ['typo'])" in output
    assert project.pids() == {}


def test_destroy_leaves_no_process_and_no_port(project: Project) -> None:
    port = free_port()
    project.declare(server=project.server("server", port))
    project.engine.up()
    assert listens(port)
    assert marked(STACK_MARKER, project.files.root)

    project.engine.destroy()

    assert not marked(STACK_MARKER, project.files.root)
    assert not listens(port)
    assert not Path(project.files.supervisor_socket).exists()
    assert (project.files.data("server") / "prepared").read_text() == "prepared"
    assert "resources" not in project.engine.export()["deployment"]
