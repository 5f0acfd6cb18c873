from __future__ import annotations

import io
import threading
import time
from pathlib import Path

import pytest

from headrace.toolchain.console import Console, StepFailed


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_step_that_ends_well_keeps_its_output_in_a_file(console: Console) -> None:
    with console.step("some step") as step:
        step.run("/bin/sh", "-c", "echo out; echo err >&2")
    assert (console.logs / "some-step.log").read_text() == "out\nerr\n"
    assert [finished.name for finished in console.finished] == ["some step"]


def test_a_failed_step_shows_the_end_of_its_output_and_where_the_rest_is(console: Console) -> None:
    with pytest.raises(StepFailed, match="sh returned 3") as failure, console.step("some step") as step:
        step.run("/bin/sh", "-c", "seq 1 100; exit 3")
    lines = str(failure.value).splitlines()
    assert lines[-1].strip() == "100"
    assert "    1" not in lines
    assert str(console.logs / "some-step.log") in lines[0]
    assert console.finished == []


def test_without_a_terminal_there_are_plain_lines(tmp_path: Path) -> None:
    stream = io.StringIO()
    with Console(stream, tmp_path).step("some step"):
        pass
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().count("\n") == 2


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_are_for_terminals_that_want_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", no_color)
    assert (Console(Terminal(), tmp_path).paint("done", 32) != "done") is coloured


def test_a_terminal_sees_a_long_step_tick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    console = Console(stream, tmp_path)
    ticked = threading.Event()
    monkeypatch.setattr(console, "_clear", ticked.set)
    with console.ticking(), console.step("some step"):
        while "some step 0 s" not in stream.getvalue():
            time.sleep(0.01)
    assert ticked.is_set()


def test_stopping_ends_the_whole_group_of_a_running_command(console: Console, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    failures: list[str] = []

    def work() -> None:
        try:
            with console.step("long step") as step:
                step.run(
                    "/bin/sh",
                    "-c",
                    f"sleep 60 & echo $! > {pid_file}.new; mv {pid_file}.new {pid_file}; wait",
                )
        except StepFailed as error:
            failures.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    while not pid_file.exists():
        time.sleep(0.01)
    console.stop_children()
    thread.join()

    assert "stopped" in failures[0]
    with pytest.raises(StepFailed), console.step("next step") as step:
        step.run("/bin/true")
    assert _ends(Path("/proc") / pid_file.read_text().strip())


def _ends(process: Path) -> bool:
    """Whether it is gone, or dead and not yet collected, within 5 s."""
    for _ in range(500):
        if not process.exists() or not (process / "cmdline").read_bytes():
            return True
        time.sleep(0.01)
    return False
