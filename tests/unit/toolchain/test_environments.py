from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.toolchain import environments, places
from headrace.toolchain.console import Console, StepFailed

Program = Callable[[str, str], Path]
# A uv that makes an interpreter of the wanted version, and fails at what $UV_FAILS names.
FAKE_UV = """
echo "$@" >> "$(dirname "$0")/../calls"
if [ "$2" = "$UV_FAILS" ]; then exit 1; fi
if [ "$1" = venv ]; then
    for folder; do :; done
    mkdir -p "$folder/bin"
    printf '#!/bin/sh\\necho 3 11\\n' > "$folder/bin/python" && chmod +x "$folder/bin/python"
fi
"""


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> environments.Environment:
    monkeypatch.setattr(places, "CHECKOUT", tmp_path)
    monkeypatch.setattr(environments, "BUILD_LOCK", tmp_path / "build.txt")
    for name in ("build.txt", "lock.txt", "pyproject.toml"):
        (tmp_path / name).write_text(name)
    return environments.Environment("some", tmp_path / "venv", tmp_path / "lock.txt", (tmp_path,))


@pytest.fixture
def make(environment: environments.Environment, program: Program, console: Console) -> Callable[[], None]:
    uv = program("uv", FAKE_UV)

    def run() -> None:
        with console.step(environment.name) as step:
            environment.make(uv, step)

    return run


def test_an_environment_is_ready_once_it_is_made(
    environment: environments.Environment, make: Callable[[], None]
) -> None:
    assert not environment.ready()
    make()
    assert environment.ready()


@pytest.mark.parametrize("file", ["lock.txt", "build.txt", "pyproject.toml"])
def test_it_is_not_ready_after_a_change_of_what_decides_it(
    environment: environments.Environment, make: Callable[[], None], tmp_path: Path, file: str
) -> None:
    make()
    (tmp_path / file).write_text("changed")
    assert not environment.ready()


def test_it_is_not_ready_when_its_interpreter_is_gone(
    environment: environments.Environment, make: Callable[[], None]
) -> None:
    make()
    environment.python.unlink()
    assert not environment.ready()


def test_a_failed_update_leaves_it_not_ready_and_the_next_one_mends_it(
    environment: environments.Environment,
    make: Callable[[], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make()
    (tmp_path / "lock.txt").write_text("changed")
    monkeypatch.setenv("UV_FAILS", "sync")
    with pytest.raises(StepFailed):
        make()
    assert not environment.ready()
    monkeypatch.delenv("UV_FAILS")
    make()
    assert environment.ready()


def test_everything_comes_with_hashes_and_the_projects_without_their_dependencies(
    environment: environments.Environment, make: Callable[[], None], tmp_path: Path
) -> None:
    make()
    _, sync, install = (tmp_path / "calls").read_text().splitlines()
    assert "--require-hashes" in sync
    assert "--build-constraints" in sync
    assert "--no-deps" in install
    assert f"--editable {tmp_path}" in install


def test_an_old_uv_on_path_is_not_used(
    program: Program, cache: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = cache / "own-uv"
    monkeypatch.setattr(environments, "locked_uv", lambda _: own)
    on_path = program("uv", "echo uv 0.4.1")
    with console.step("uv") as step:
        assert environments.find_uv(step) == own
        program("uv", "echo uv 0.13.0")
        assert environments.find_uv(step) == on_path
