from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.toolchain import commands, jdk, pulumi_cli, requirements

Program = Callable[[str, str], Path]
EVERYTHING = requirements.Needs(maven=True, go=True)


def test_a_machine_without_tools_is_told_all_of_them_at_once_and_nothing_is_changed(
    program: Program, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pulumi_cli, "installer_reachable", lambda: False)

    assert commands.main(["setup"]) == 1

    told = capsys.readouterr().err
    for thing in ("JDK 17", "Maven", "Go 1.21"):
        assert thing in told
    assert "nothing was changed" in told
    assert "Then run the same command again." in told
    assert not cache.exists()


def test_go_is_not_asked_for_where_the_installer_can_be_reached(
    program: Program, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pulumi_cli, "installer_reachable", lambda: True)

    assert commands.main(["setup"]) == 1

    assert "Go 1.21" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("family", "command"),
    [
        ("debian", "sudo apt-get install --yes openjdk-17-jdk-headless maven"),
        ("fedora", "sudo dnf install --assumeyes java-21-openjdk-devel maven"),
    ],
)
def test_one_command_installs_what_is_missing(
    program: Program, monkeypatch: pytest.MonkeyPatch, family: str, command: str
) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": family})
    program("unshare", "exit 0")

    lacks = requirements.missing(requirements.Needs(maven=True, go=False))

    assert command in requirements.explain(lacks).splitlines()[-2]


def test_an_unknown_distribution_is_shown_both_commands(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "plan9"})

    told = requirements.explain(requirements.missing(EVERYTHING))

    assert "apt-get" in told
    assert "dnf" in told


@pytest.mark.parametrize(
    ("line", "enough"),
    [
        ('openjdk version "17.0.15" 2025-04-15', True),
        ('openjdk version "21" 2023-09-19', True),
        ('openjdk version "11.0.2" 2019-01-15', False),
        ('java version "1.8.0_292"', False),
        ("Unable to locate a Java Runtime.", False),
    ],
)
def test_java_is_judged_by_what_it_prints(program: Program, line: str, enough: bool) -> None:
    program("java", f"echo '{line}' >&2")
    program("unshare", "exit 0")

    lacks = requirements.missing(requirements.Needs(maven=False, go=False))

    assert [lack.what for lack in lacks] == ([] if enough else ["JDK 17 or newer"])


def test_a_go_that_can_not_fetch_a_newer_one_is_not_enough(program: Program) -> None:
    program("go", "echo go version go1.19.8 linux/amd64")

    (lack,) = (lack for lack in requirements.missing(EVERYTHING) if lack.what.startswith("Go"))

    assert "go1.19" in lack.found


def test_another_python_is_named_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))

    (lack,) = (lack for lack in requirements.missing(EVERYTHING) if lack.what == "Python 3.11")

    assert "python3.11-venv" in lack.debian


def test_root_without_user_namespaces_is_told_to_be_another_user(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    program("unshare", "exit 1")

    (lack,) = (lack for lack in requirements.missing(EVERYTHING) if lack.what == "user namespaces")

    assert "another user" in lack.note


def test_java_home_is_chosen_before_path_as_flink_chooses(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("java", "true")
    assert jdk.java() == "java"

    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "another"))
    assert jdk.java() == str(tmp_path / "another" / "bin" / "java")


def test_java_home_that_is_the_one_on_path_changes_no_command(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("java", "true")
    on_path = shutil.which("java")
    assert on_path is not None
    (tmp_path / "jdk" / "bin").mkdir(parents=True)
    (tmp_path / "jdk" / "bin" / "java").symlink_to(on_path)

    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))

    assert jdk.java() == "java"
