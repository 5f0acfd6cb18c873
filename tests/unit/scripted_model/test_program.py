"""The program: started as a process, stopped by a signal."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from headrace_agents.scripted_model.__main__ import main

PROGRAM = [sys.executable, "-m", "headrace_agents.scripted_model"]


def test_it_serves_with_its_settings_until_sigterm_and_hung_calls_do_not_keep_it(tmp_path: Path) -> None:
    log, settings = tmp_path / "calls.jsonl", tmp_path / "settings.json"
    settings.write_text('{"hang_rate": 1}')
    command = [*PROGRAM, "--port", "0", "--log", str(log), "--settings", str(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)/v1", process.stdout.readline())
        assert found is not None
        with urlopen(f"http://127.0.0.1:{found[1]}/settings") as response:
            assert json.load(response)["hang_rate"] == 1
        with socket.create_connection(("127.0.0.1", int(found[1]))) as hung:
            body = b'{"model": "scripted-triage", "messages": [{"role": "user", "content": "x"}]}'
            hung.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
            )
            hung.sendall(body)
            while json.load(urlopen(f"http://127.0.0.1:{found[1]}/calls"))["in_flight"] == 0:
                pass
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0
    assert json.loads(log.read_text())["outcome"] == "hung"


def test_a_taken_port_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        monkeypatch.setattr(sys, "argv", ["scripted", "--port", str(port), "--log", str(tmp_path / "log")])

        assert main() == 1

    assert f"port {port} of 127.0.0.1 is taken" in capsys.readouterr().err


def test_a_log_that_cannot_be_opened_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "missing" / "log"
    monkeypatch.setattr(sys, "argv", ["scripted", "--port", "0", "--log", str(log)])

    assert main() == 1
    assert str(log) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--port", "70000", "--log", "x"], "'70000' is no port"),
        (["--port", "0"], "--log"),
        (
            ["--port", "0", "--log", "x", "--settings", "/nowhere.json"],
            "--settings /nowhere.json: No such file",
        ),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: list[str], named: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["scripted", *arguments])

    with pytest.raises(SystemExit, match="2"):
        main()

    assert named in capsys.readouterr().err


def test_a_wrong_settings_file_is_refused_by_file_and_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text('{"hang_rate": 2}')
    monkeypatch.setattr(sys, "argv", ["x", "--port", "0", "--log", "x", "--settings", str(settings)])

    with pytest.raises(SystemExit, match="2"):
        main()

    assert f"{settings}: hang_rate" in capsys.readouterr().err
