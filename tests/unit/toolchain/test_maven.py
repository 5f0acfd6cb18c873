from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.toolchain import maven, places
from headrace.toolchain.console import Console, StepFailed

BROKER = hashlib.sha256(b"broker").hexdigest()
LOCKED = f"{BROKER}  kafka/broker.jar\n"
# A Maven that brings one file with the content in $BROUGHT.
FAKE_MAVEN = """
for argument; do case $argument in -Dheadrace.output=*) output=${argument#*=} ;; esac; done
mkdir -p "$output/kafka" && printf %s "$BROUGHT" > "$output/kafka/broker.jar"
"""


def test_what_was_locked_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "broker.jar").write_bytes(b"broker")

    assert maven.differences(tmp_path, LOCKED) == []


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"kafka/broker.jar": b"other"}, f"locked {BROKER}"),
        ({}, "kafka/broker.jar: did not come"),
        ({"kafka/broker.jar": b"broker", "kafka/more.jar": b""}, "kafka/more.jar: not locked"),
    ],
)
def test_every_difference_is_told(tmp_path: Path, files: dict[str, bytes], told: str) -> None:
    (tmp_path / "kafka").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    (difference,) = maven.differences(tmp_path, LOCKED)

    assert told in difference


def test_a_changed_jar_is_refused_and_leaves_no_runtimes(
    tmp_path: Path,
    program: Callable[[str, str], Path],
    console: Console,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program("mvn", FAKE_MAVEN)
    locked = tmp_path / "checksums.sha256"
    locked.write_text(LOCKED)
    monkeypatch.setattr(maven, "CHECKSUMS", locked)
    target = tmp_path / "runtimes"

    def fetch(brought: str) -> None:
        monkeypatch.setenv("BROUGHT", brought)
        with console.step("runtimes") as step, places.built_beside(target) as building:
            maven.fetch(building, step)

    with pytest.raises(StepFailed, match=r"kafka/broker\.jar: sha256"):
        fetch("tampered")
    assert not target.exists()
    fetch("broker")
    assert (target / "kafka" / "broker.jar").read_bytes() == b"broker"
