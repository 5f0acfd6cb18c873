"""The status of a stack that does not run."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from headrace.local.scaling.standing import Rescale, Standing, Standings, write
from headrace.operations.down import down
from headrace.operations.stack import Stack
from headrace.operations.status import connectors, status, status_view


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


def test_what_scaling_decided_and_why_is_shown(unused_ports: Stack) -> None:
    now = datetime.now(UTC)
    last = Rescale(at=now, before=1, after=3, reason="5000 events wait", gap_s=4.2, repeated_calls=12)
    standing = Standing(
        agent="support-triage",
        at=now,
        parallelism=3,
        least=1,
        most=4,
        cause="model_limit",
        reason="the provider refuses 5.0 calls a second",
        backlog=5_000,
        calls_in_flight=9,
        concurrency_limit=30,
        calls_most=256,
        last=last,
    )
    write(unused_ports.files.scaling, Standings(agents=(standing,)))
    (found,) = status(unused_ports)["scaling"]
    assert found.pop("age_s") < 60
    assert found == {
        "name": "support-triage",
        "parallelism": 3,
        "bounds": [1, 4],
        "decision": "model_limit",
        "reason": "the provider refuses 5.0 calls a second",
        "calls_in_flight": 9,
        "calls_at_once": [30, 256],
        "last_rescale": [1, 3],
        "gap_s": 4.2,
        "repeated_calls": 12,
    }
    output = io.StringIO()
    Console(file=output, width=80).print(*status_view(status(unused_ports)))
    assert "model_limit" in output.getvalue()
    assert "the provider refuses 5.0 calls a second" in output.getvalue()


def test_down_of_a_stack_that_never_was_up_is_fine(unused_ports: Stack) -> None:
    down(unused_ports)
    assert not unused_ports.files.pulumi.exists()


def test_while_connect_starts_its_connectors_are_unreachable(
    unused_ports: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(url: str, **_: object) -> httpx.Response:
        return httpx.Response(404, html="<html>Not Found</html>", request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", get)
    assert [each["state"] for each in connectors(unused_ports)] == ["unreachable"]
