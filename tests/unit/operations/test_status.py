"""The status of a stack that does not run."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from headrace.operations.down import down
from headrace.operations.stack import Stack
from headrace.operations.status import status, status_view


@pytest.fixture
def unused_ports(project: Path) -> Stack:
    declaration = project / "stacks" / "Pulumi.local.yaml"
    declaration.write_text(declaration.read_text().replace("port_base: 17000", "port_base: 1100"))
    return Stack.find("local", start=project)


def test_what_does_not_answer_is_unreachable(unused_ports: Stack) -> None:
    found = status(unused_ports)
    assert found["processes"] == []
    assert [c["state"] for c in found["connectors"]] == ["unreachable"]
    assert [a["state"] for a in found["agents"]] == ["unreachable"] * 2


def test_it_is_shown_as_tables(unused_ports: Stack) -> None:
    output = io.StringIO()
    Console(file=output, width=100).print(*status_view(status(unused_ports)))
    assert "support-triage" in output.getvalue()
    assert "local-support" in output.getvalue()


def test_down_of_a_stack_that_never_was_up_is_fine(unused_ports: Stack) -> None:
    down(unused_ports)
    assert not unused_ports.files.pulumi.exists()
