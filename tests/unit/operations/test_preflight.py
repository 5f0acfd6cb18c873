"""What is refused before anything is started."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from headrace.agents_fit import MANIFESTS, Kept, fitting, look_at_agents
from headrace.environment import DeclarationError
from headrace.local.ports import PortTaken
from headrace.operations.preflight import named_ports, preflight
from headrace.operations.stack import Stack
from headrace.toolchain.environments import AGENTS

PRIMARY_KEY = "\n            primary_key: ["


def test_every_port_of_the_plan_has_a_name(stack: Stack) -> None:
    named = dict(named_ports(stack.plan.ports))
    assert {"postgres", "kafka", "taskmanager_data[0]", "taskmanager_data[1]"} <= named.keys()
    assert len(set(named.values())) == len(named)


def test_a_taken_port_is_refused_and_nothing_is_made(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        declaration = project / "stacks" / "Pulumi.local.yaml"
        base = f"port_base: {min(taken, 65_000)}"
        declaration.write_text(declaration.read_text().replace("port_base: 17000", base))
        stack = Stack.find("local", start=project)
        with pytest.raises(PortTaken, match=str(taken)):
            preflight(stack)
    assert not stack.files.root.exists()


def test_the_shipped_agents_are_accepted(stack: Stack) -> None:
    assert look_at_agents(stack.plan, str(stack.declaration), AGENTS.python).warnings == []


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        (
            "support_triage.agent:Nobody",
            r"agents\[0\]\.entry_point: given support_triage\.agent:Nobody; .* has no Nobody",
        ),
        (
            "nowhere.agent:SupportTriage",
            r"agents\[0\]\.entry_point: given nowhere\.agent:SupportTriage; .* No module named 'nowhere'",
        ),
        (
            "support_triage.agent:SupportTriage\n        settings: {escalate_evry: 3}",
            r"agents\[0\]\.settings: given \{\"escalate_evry\": 3\}; .* escalate_evry: Extra inputs",
        ),
    ],
)
def test_an_agent_that_would_not_load_is_refused_and_nothing_is_made(
    project: Path, given: str, refused: str
) -> None:
    declaration = project / "stacks" / "Pulumi.local.yaml"
    written = declaration.read_text().replace("support_triage.agent:SupportTriage", given)
    declaration.write_text(written)
    stack = Stack.find("local", start=project)

    with pytest.raises(DeclarationError, match=rf"(?s){refused}.*nothing was changed$"):
        look_at_agents(stack.plan, str(stack.declaration), AGENTS.python)

    assert not stack.files.root.exists()


@pytest.mark.parametrize(
    ("declared", "now", "refused"),
    [
        (
            "{id: bigint, customer_id: bigint, subject: text, body: text, status: text}" + PRIMARY_KEY + "id",
            "{number: bigint, customer_id: bigint}" + PRIMARY_KEY + "number",
            r"public\.tickets has no column id, which Ticket needs",
        ),
        ("body: text", "body: bigint", r"public\.tickets has column body, bigint, which Ticket can't read"),
    ],
)
def test_a_table_that_an_agent_can_not_read_is_refused_and_nothing_is_made(
    project: Path, declared: str, now: str, refused: str
) -> None:
    declaration = project / "stacks" / "Pulumi.local.yaml"
    declaration.write_text(changed(declaration.read_text(), declared, now))
    stack = Stack.find("local", start=project)

    said = rf"(?s)agents\[0\]\.inputs: given .*{refused}.*nothing was changed$"
    with pytest.raises(DeclarationError, match=said):
        look_at_agents(stack.plan, str(stack.declaration), AGENTS.python)

    assert not stack.files.root.exists()


def test_a_column_that_an_agent_could_do_without_is_warned_of(project: Path) -> None:
    declaration = project / "stacks" / "Pulumi.local.yaml"
    declaration.write_text(changed(declaration.read_text(), "subject: text, body: text, ", ""))
    stack = Stack.find("local", start=project)

    assert look_at_agents(stack.plan, str(stack.declaration), AGENTS.python).warnings == [
        "agent support-triage: public.tickets has no column body, subject: Ticket has defaults there"
    ]


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.fixture
def agents_python(tmp_path: Path) -> Path:
    """The agents' interpreter in an environment of its own, which counts its starts."""
    python = tmp_path / "environment" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho started >> "{tmp_path}/starts"\nexec "{AGENTS.python}" "$@"\n')
    python.chmod(0o755)
    return python


def starts(python: Path) -> int:
    return len((python.parents[2] / "starts").read_text().splitlines())


def test_agents_that_were_looked_at_are_known_while_code_and_declaration_are_the_same(
    project: Path, agents_python: Path
) -> None:
    declaration = project / "stacks" / "Pulumi.local.yaml"
    declaration.write_text(changed(declaration.read_text(), "subject: text, body: text, ", ""))
    plan = Stack.find("local", start=project).plan
    first = fitting(plan, "", agents_python)
    assert starts(agents_python) == 1
    assert first.manifests.keys() == {agent.spec.entry_point for agent in plan.agents}
    assert first.warnings

    assert fitting(plan, "", agents_python) == first
    assert starts(agents_python) == 1

    (kept, _) = sorted((agents_python.parents[1] / MANIFESTS).iterdir())
    known = Kept.model_validate_json(kept.read_bytes())
    other = known.model_copy(update={"manifest": known.manifest.model_copy(update={"code": "other"})})
    kept.write_text(other.model_dump_json())
    assert fitting(plan, "", agents_python) == first
    assert starts(agents_python) == 2


def test_another_declaration_is_looked_at_anew(project: Path, agents_python: Path) -> None:
    plan = Stack.find("local", start=project).plan
    fitting(plan, "", agents_python)
    (triage, risk) = plan.agents
    wrong = triage.model_copy(update={"spec": triage.spec.model_copy(update={"settings": {"no": 1}})})
    with pytest.raises(DeclarationError, match="no: Extra inputs"):
        fitting(plan.model_copy(update={"agents": (wrong, risk)}), "", agents_python)
    assert starts(agents_python) == 2
