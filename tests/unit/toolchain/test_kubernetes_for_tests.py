from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from headrace.toolchain import (
    installation,
    kubernetes_for_tests,
    requirements,
)
from headrace.toolchain.console import Console
from headrace.toolchain.installation import MissingRequirements

Program = Callable[[str, str], Path]
GO = 'while [ "$1" != -o ]; do shift; done; echo built > "$2"; chmod +x "$2"'
"""Writes the program that it is to build."""


@pytest.fixture
def machine_with_everything(only: Callable[[ModuleType], None]) -> None:
    only(kubernetes_for_tests)


@pytest.mark.usefixtures("machine_with_everything")
def test_both_programs_are_built_once(program: Program, cache: Path, console: Console) -> None:
    program("go", GO)
    assert not kubernetes_for_tests.ready()
    installation.setup_tests(console)
    assert kubernetes_for_tests.ready()
    assert kubernetes_for_tests.etcd().is_relative_to(cache)
    (only,) = console.finished

    installation.setup_tests(console)
    assert console.finished == [only]


def test_without_go_nothing_is_changed(
    cache: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    lack = requirements.Missing("Go", "not found")
    monkeypatch.setattr(requirements, "missing", lambda needs: [lack] if needs.go else [])
    with pytest.raises(MissingRequirements, match="Go"):
        installation.setup_tests(console)
    assert not cache.exists()


def test_a_release_of_kubernetes_is_pinned_whole() -> None:
    """Each of its modules in its one version, which Kubernetes' own go.mod does not say."""
    pins = (kubernetes_for_tests.MODULE / "go.mod").read_text(encoding="utf-8")
    (release,) = (line.split()[1][1:] for line in pins.splitlines() if "k8s.io/kubernetes v" in line)
    replaced = [line.split() for line in pins.splitlines() if " => k8s.io/" in line]
    assert len(replaced) > 20
    assert {words[-1] for words in replaced} == {f"v0{release[1:]}"}
