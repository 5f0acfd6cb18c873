"""A cache and a PATH of the test's own."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from headrace.toolchain import kubernetes_for_tests, mariadb_for_tests, prometheus_for_tests, requirements
from headrace.toolchain.console import Console


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("HEADRACE_CACHE", str(folder))
    return folder


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Puts a shell script on PATH, which has nothing else."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)

    def add(name: str, script: str) -> Path:
        file = folder / name
        file.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        file.chmod(0o755)
        return file

    return add


OTHERS: Mapping[ModuleType, tuple[str, bool]] = {
    kubernetes_for_tests: ("ready", True),
    mariadb_for_tests: ("can_be_had", False),
    prometheus_for_tests: ("can_be_had", False),
}
"""What tests alone need: what keeps each from being made."""


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType], None]:
    """Makes the machine lack nothing but what a module of the toolchain makes for tests."""

    def lacks(module: ModuleType) -> None:
        monkeypatch.setattr(requirements, "missing", lambda _: [])
        for other, (name, said) in OTHERS.items():
            if other is not module:
                monkeypatch.setattr(other, name, lambda said=said: said)

    return lacks


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(io.StringIO(), tmp_path / "logs")
