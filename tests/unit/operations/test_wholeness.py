"""What a stack lacks is said part by part."""

from __future__ import annotations

from pathlib import Path

from headrace.operations.stack import Stack
from headrace.operations.wholeness import missing


def test_of_a_stack_that_does_not_run_everything_is_missing(project: Path) -> None:
    declaration = project / "stacks" / "Pulumi.local.yaml"
    declaration.write_text(declaration.read_text().replace("port_base: 17000", "port_base: 1100"))
    supervisor, connector, flink = missing(Stack.find("local", start=project))
    assert supervisor == "the supervisor does not run"
    assert connector == "connector local-support is unreachable, its tasks: none"
    assert flink.startswith("Flink's JobManager does not answer at http://127.0.0.1:1106")
