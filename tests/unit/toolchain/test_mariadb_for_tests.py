from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from headrace.toolchain import (
    installation,
    mariadb_for_tests,
)
from headrace.toolchain.console import Console

Program = Callable[[str, str], Path]
FETCH = 'for each in "$@"; do touch "$each.deb"; done'
UNPACK = 'mkdir -p "$3/usr/sbin" "$3/usr/bin"; for each in sbin/mariadbd bin/mariadb; do '
UNPACK += 'touch "$3/usr/$each"; chmod +x "$3/usr/$each"; done'


@pytest.fixture(autouse=True)
def nothing_else_is_missing(only: Callable[[ModuleType], None]) -> None:
    only(mariadb_for_tests)


def test_server_and_client_come_from_their_packages_once(
    program: Program, cache: Path, console: Console
) -> None:
    program("apt-get", FETCH)
    program("dpkg-deb", UNPACK)
    assert not mariadb_for_tests.ready()
    installation.setup_tests(console)
    assert mariadb_for_tests.ready()
    assert mariadb_for_tests.server().is_relative_to(cache)
    assert not list((cache / "mariadb").glob("*.deb"))
    (only,) = console.finished

    installation.setup_tests(console)
    assert console.finished == [only]


def test_a_library_that_a_release_lacks_is_left_out(program: Program, console: Console) -> None:
    program("apt-get", f'case "$*" in *libaio1*) exit 100;; esac; {FETCH}')
    program("dpkg-deb", UNPACK)
    installation.setup_tests(console)
    assert mariadb_for_tests.ready()


def test_what_cant_be_fetched_is_said_and_leaves_nothing(
    program: Program, cache: Path, console: Console
) -> None:
    program("apt-get", "echo no network >&2; exit 100")
    program("dpkg-deb", UNPACK)
    installation.setup_tests(console)
    assert "Tests that need MariaDB are left out" in console.stream.getvalue()  # type: ignore[attr-defined]
    assert not (cache / "mariadb").exists()
