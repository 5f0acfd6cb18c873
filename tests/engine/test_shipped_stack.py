"""The shipped declaration before the real engine and provider, as a preview: nothing is started."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from headrace.errors import HeadraceError
from headrace.local.processes import STACK_MARKER, marked
from headrace.operations.stack import Stack

CHECKOUT = Path(__file__).parents[2]
PREFIX = "headrace-local:index:"


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """The shipped declaration in a project of the test, known to the engine and not brought up."""
    shutil.copy(CHECKOUT / "Pulumi.yaml", tmp_path)
    shutil.copytree(CHECKOUT / "stacks", tmp_path / "stacks")
    found = Stack.find("local", start=tmp_path)
    found.engine.select()
    return found


def test_a_preview_of_everything_starts_nothing(stack: Stack) -> None:
    # The provider checks every resource's inputs, or the preview fails.
    steps = json.loads(stack.engine._quiet("preview", "--json"))["steps"]
    assert {step["op"] for step in steps} == {"create"}
    ours = [step["newState"] for step in steps if step["newState"]["type"].startswith(PREFIX)]
    retained = {state["type"] for state in ours if state.get("retainOnDelete")}
    assert retained == {f"{PREFIX}{kind}" for kind in ("Database", "Topic", "Bucket")}
    assert all(state.get("retainOnDelete") for state in ours if state["type"] in retained)
    assert not marked(STACK_MARKER, stack.files.root)
    assert not (stack.files.root / "data").exists()


def test_plain_pulumi_works_as_the_page_says(stack: Stack) -> None:
    page = (CHECKOUT / "docs" / "local.md").read_text()
    (lines,) = re.findall(r"## With plain `pulumi`\n+```console\n(.*?)```", page, re.DOTALL)
    (stack.project / ".venv").symlink_to(CHECKOUT / ".venv")

    done = subprocess.run(
        ["sh", "-ec", lines], cwd=stack.project, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "headrace:local:LocalStack: (create)" in done.stdout


def test_a_preview_refuses_a_table_that_an_agent_can_not_read(stack: Stack) -> None:
    written = stack.declaration.read_text()
    stack.declaration.write_text(written.replace("body: text", "body: bigint"))
    changed = Stack.find("local", start=stack.project)
    changed.engine.select()

    with pytest.raises(
        HeadraceError, match=r"public\.tickets has column body, bigint, which Ticket can't read"
    ):
        changed.engine._quiet("preview")
