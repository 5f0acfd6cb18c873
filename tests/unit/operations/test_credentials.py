"""Keys of model endpoints: from the caller's environment into a file of the stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.errors import HeadraceError
from headrace.local.agent import complete, key_files
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
    return key_files(stack.files, stack.plan.agents[0])["model"]


def test_a_key_is_kept_where_only_this_user_can_read_it(
    keyed: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_MODEL_KEY", "the key")
    keep_credentials(keyed)
    assert key_file(keyed).read_text() == "the key"
    assert key_file(keyed).stat().st_mode & 0o777 == 0o600


def test_fallbacks_and_embeddings_have_keys_of_their_own(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declaration = project / "stacks" / "Pulumi.local.yaml"
    fallback = "{endpoint: 'https://b.example/v1', name: b, api_key: {env: B}}"
    named = "name: scripted-triage"
    embedding = "{endpoint: 'https://e.example/v1', name: e, api_key: {env: E}}"
    text = declaration.read_text().replace(named, f"{named}\n          fallbacks: [{fallback}]")
    workload = "        workload:\n          events_per_second: 50\n"
    assert workload in text
    declaration.write_text(text.replace(workload, f"        embedding: {embedding}\n{workload}"))
    stack = Stack.find("local", start=project)
    monkeypatch.setenv("B", "of b")
    monkeypatch.setenv("E", "of e")
    keep_credentials(stack)
    agent = stack.plan.agents[0]
    files = key_files(stack.files, agent)
    assert {path: file.read_text() for path, file in files.items()} == {
        "model.fallbacks[0]": "of b",
        "embedding": "of e",
    }
    spec = complete(agent, stack.files)
    assert spec.model is not None
    assert spec.embedding is not None
    assert spec.model.api_key_file is None
    assert spec.model.fallbacks[0].api_key_file == str(files["model.fallbacks[0]"])
    assert spec.embedding.api_key_file == str(files["embedding"])


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
