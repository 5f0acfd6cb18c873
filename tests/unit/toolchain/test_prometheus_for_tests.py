from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from headrace.toolchain import (
    installation,
    prometheus_for_tests,
)
from headrace.toolchain.console import Console

Program = Callable[[str, str], Path]
ARCHIVE = "touch prometheus_2_amd64.deb"
UNPACK = 'mkdir -p "$3/usr/bin"; for each in prometheus promtool; do touch "$3/usr/bin/$each"; done; '
UNPACK += 'chmod +x "$3"/usr/bin/*'


@pytest.fixture(autouse=True)
def nothing_else_is_missing(only: Callable[[ModuleType], None]) -> None:
    only(prometheus_for_tests)


def test_both_programs_come_from_the_package_once(program: Program, cache: Path, console: Console) -> None:
    program("apt-get", ARCHIVE)
    program("dpkg-deb", UNPACK)
    assert not prometheus_for_tests.ready()
    installation.setup_tests(console)
    assert prometheus_for_tests.ready()
    assert sorted(path.name for path in (cache / "prometheus").rglob("*")) == [
        "bin",
        "prometheus",
        "promtool",
    ]
    (only,) = console.finished

    installation.setup_tests(console)
    assert console.finished == [only]


def test_a_machine_without_lists_fetches_them_first(program: Program, console: Console) -> None:
    lists = program("apt-get", "").parent / "lists"
    program("apt-get", f'[ "$1" = update ] && exec touch {lists}; [ -e {lists} ] && {ARCHIVE}')
    program("dpkg-deb", UNPACK)
    installation.setup_tests(console)
    assert prometheus_for_tests.ready()


def test_what_cant_be_fetched_is_said_and_leaves_nothing(
    program: Program, cache: Path, console: Console
) -> None:
    program("apt-get", "echo no network >&2; exit 100")
    program("dpkg-deb", UNPACK)
    installation.setup_tests(console)
    assert isinstance(console.stream, io.StringIO)
    said = console.stream.getvalue()
    assert "Tests that need Prometheus are left out" in said
    assert "no network" in said
    assert not (cache / "prometheus").exists()
