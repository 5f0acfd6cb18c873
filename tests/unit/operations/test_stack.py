"""Which project and which declaration a command works on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from headrace.errors import HeadraceError
from headrace.operations.stack import Stack


def test_a_stack_is_found_from_any_folder_of_the_project(project: Path) -> None:
    inside = project / "some" / "folder"
    inside.mkdir(parents=True)
    found = Stack.find("local", start=inside)
    assert (found.project, found.name) == (project, "local")
    assert found.files.root == project / ".headrace" / "local"


def test_a_declaration_may_be_elsewhere(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "Pulumi.other.yaml"
    shutil.copy(project / "stacks" / "Pulumi.local.yaml", other)
    found = Stack.find("local", other, start=project)
    assert (found.declaration, found.name) == (other, "other")


def test_an_unknown_stack_is_refused_with_those_that_are_declared(project: Path) -> None:
    shutil.copy(project / "stacks" / "Pulumi.local.yaml", project / "stacks" / "Pulumi.another.yaml")
    with pytest.raises(HeadraceError) as refused:
        Stack.find("locl", start=project)
    assert "Pulumi.locl.yaml" in str(refused.value)
    assert "this project declares: another, dev, local, prod" in str(refused.value)


def test_a_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HeadraceError, match=r"no Pulumi\.yaml in .* or above it"):
        Stack.find("local", start=tmp_path)
