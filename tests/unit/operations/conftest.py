"""A project as a person has it: the shipped declaration and its demo, in a folder of the test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from headrace.operations.stack import Stack

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(CHECKOUT / "Pulumi.yaml", folder)
    shutil.copytree(CHECKOUT / "stacks", folder / "stacks")
    return folder


@pytest.fixture
def stack(project: Path) -> Stack:
    return Stack.find("local", start=project)
