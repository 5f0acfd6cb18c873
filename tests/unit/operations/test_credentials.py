"""Keys of model endpoints: from the caller's environment into a file of the stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.errors import HeadraceError
from headrace.local.agent import api_key_file, complete, key_files
from headrace.operations.credentials import keep_credentials
from headrace.operations.stack import Stack


@pytest.fixture
def keyed(project: Path) -> Stack:
    """The shipped declaration with an endpoint that wants a key."""
    declaration = project / "stacks" / "Pulumi.local.yaml"
    text = declaration.read_text().replace("endpoint: scripted", "endpoint: https://models.example/v1")
    declaration.write_text(
        text.replace("name: scripted-triage", "name: some-model\n          api_key: {env: SOME_MODEL_KEY}")
    )
    return Stack.find("local", start=project)


def key_file(stack: Stack) -> Path:
    return api_key_file(stack.files, stack.plan.agents[0])


def test_a_key_is_kept_where_only_this_user_can_read_it(
    keyed: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_MODEL_KEY", "the key")
    keep_credentials(keyed)
    assert key_file(keyed).read_text() == "the key"
    assert key_file(keyed).stat().st_mode & 0o777 == 0o600


def test_a_fallback_has_a_key_of_its_own(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declaration = project / "stacks" / "Pulumi.local.yaml"
    fallback = "{endpoint: 'https://b.example/v1', name: b, api_key: {env: B}}"
    named = "name: scripted-triage"
    with_fallback = f"{named}\n          fallbacks: [{fallback}]"
    declaration.write_text(declaration.read_text().replace(named, with_fallback))
    stack = Stack.find("local", start=project)
    monkeypatch.setenv("B", "of b")
    keep_credentials(stack)
    agent = stack.plan.agents[0]
    assert list(key_files(stack.files, agent)) == [api_key_file(stack.files, agent, 0)]
    assert api_key_file(stack.files, agent, 0).read_text() == "of b"
    model = complete(agent, stack.files).model
    assert model is not None
    assert model.api_key_file is None
    assert model.fallbacks[0].api_key_file == str(api_key_file(stack.files, agent, 0))


def test_a_kept_key_serves_where_none_is_given(keyed: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_MODEL_KEY", "the key")
    keep_credentials(keyed)
    monkeypatch.delenv("SOME_MODEL_KEY")
    keep_credentials(keyed)
    assert key_file(keyed).read_text() == "the key"


def test_a_missing_key_is_refused_by_the_name_of_its_variable(
    keyed: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOME_MODEL_KEY", raising=False)
    with pytest.raises(HeadraceError, match="SOME_MODEL_KEY"):
        keep_credentials(keyed)
    assert not keyed.files.root.exists()


def test_an_agent_without_a_key_needs_none(stack: Stack) -> None:
    keep_credentials(stack)
    assert not stack.files.root.exists()
