"""The look at a source before its connector, by the real engine, and the command, on the local substrate."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from headrace.capture.preflight import preflight
from headrace.cli import app
from headrace.environment import load_environment
from headrace.local.files import StackFiles
from headrace.local.provider.database import DatabaseKind
from headrace.local.provider.preflight import PreflightInputs, PreflightKind
from headrace.local.provider.publication import PublicationKind
from headrace.local.provider.slot import SlotKind
from headrace.local.secrets import SUPERUSER_PASSWORD, write_secret
from headrace.local.source import database_of, publication_of, slot_of
from headrace.local.source_access import capturing_role, password_file
from headrace.local.stored_offsets import StoredOffsets
from headrace.operations.engine import EngineFailed
from headrace.plan import plan
from tests.engine.capture.server import PASSWORD, Server
from tests.engine.capture.source import Source, declaration
from tests.engine.conftest import project
from tests.engine.project import Project
from tests.pipeline.stack import ROOT

__all__ = ["project"]
NOBODY = "127.0.0.1:1"
"""No Kafka runs here: what a connector has stored can't be asked."""


def give_secrets(files: StackFiles, source: Source) -> None:
    files.root.mkdir(parents=True, exist_ok=True)
    write_secret(files.secret(SUPERUSER_PASSWORD), PASSWORD)
    write_secret(password_file(files, source.plan.name), f"password={PASSWORD}\n")


def declared(files: StackFiles, source: Source) -> tuple[str, dict[str, Any]]:
    inputs = PreflightInputs(
        root=str(files.root),
        port=source.server.port,
        bootstrap_servers=NOBODY,
        offsets_topic="offsets",
        declared=(source.plan.slot,),
        source=source.plan,
    )
    return "Preflight", inputs.model_dump(mode="json")


def test_an_error_fails_up_with_what_was_found_and_a_mended_source_passes(
    project: Project, source: Source, capfd: pytest.CaptureFixture[str]
) -> None:
    give_secrets(project.files, source)
    source.run("ALTER ROLE {role} NOREPLICATION", "ALTER TABLE parts ADD path jsonpath")
    project.declare(preflight=declared(project.files, source))
    with pytest.raises(EngineFailed):
        project.engine.up()
    said = "".join(capfd.readouterr())
    assert f"source {source.plan.name} is not ready to be captured" in said
    assert f'ALTER ROLE "{source.role}" REPLICATION;' in said
    assert "public.parts.path is jsonpath" in said
    assert "The connector was left as it was" in said
    assert PASSWORD not in said

    source.run("ALTER ROLE {role} REPLICATION")
    project.engine.up()
    said = "".join(capfd.readouterr())
    assert "+ 1 created" in said
    assert "warning: column-types: public.parts.path is jsonpath" in said

    project.engine.up()
    assert "3 unchanged" in capfd.readouterr().out
    assert PASSWORD not in json.dumps(project.engine.export())


def test_what_went_wrong_since_is_previewed_and_fails_the_next_up(
    project: Project, source: Source, capfd: pytest.CaptureFixture[str]
) -> None:
    give_secrets(project.files, source)
    project.declare(preflight=declared(project.files, source))
    project.engine.up()
    source.run("ALTER PUBLICATION {role} DROP TABLE parts")
    capfd.readouterr()

    project.engine.preview()
    preview = capfd.readouterr().out
    assert "~ headrace-local:index:Preflight: (update)" in preview
    assert "1 to update" in preview
    with pytest.raises(EngineFailed):
        project.engine.up()
    assert "lacks public.parts" in "".join(capfd.readouterr())


def test_a_server_that_is_away_is_no_verdict(tmp_path: Path, source: Source) -> None:
    files = StackFiles(tmp_path)
    kind, inputs = PreflightKind(), PreflightInputs.model_validate(declared(files, source)[1])
    assert kind.read(inputs) is None
    give_secrets(files, source)
    assert kind.read(inputs) == {"status": "passed"}
    away = inputs.model_copy(update={"port": 1})
    assert kind.read(away) == {"status": "unreachable"}


def test_what_the_shipped_stack_makes_is_ready(tmp_path: Path, server: Server) -> None:
    files = StackFiles(tmp_path)
    write_secret(files.secret(SUPERUSER_PASSWORD), PASSWORD)
    for declared in plan(load_environment(ROOT / "stacks" / "Pulumi.local.yaml")).sources:
        inputs = database_of(declared, files, server.port)
        DatabaseKind().create(inputs)
        PublicationKind().create(publication_of(declared, files, server.port))
        SlotKind().create(slot_of(declared, files, server.port))
        access = capturing_role(files, server.port, declared, StoredOffsets(NOBODY, "offsets"))
        report = preflight(declared, replace(access, offset=lambda: None))
        assert report.findings == ()
        DatabaseKind().delete(inputs)


@pytest.fixture
def stack(tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch) -> Source:
    """A declared stack whose database server is the test's."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").touch()
    # A stack's first port is its database server's.
    environment = declaration(source.plan.name, port_base=source.server.port)
    path = tmp_path / "stacks" / "Pulumi.local.yaml"
    path.write_text(json.dumps({"config": {"headrace:environment": environment}}))
    monkeypatch.chdir(tmp_path)
    give_secrets(StackFiles(tmp_path / ".headrace" / "local"), source)
    return source


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["preflight", *arguments], env={"COLUMNS": "200"})


def test_the_command_finds_mends_and_passes(stack: Source) -> None:
    assert command().exit_code == 0
    stack.run("ALTER ROLE {role} NOREPLICATION", "DROP PUBLICATION {role}")

    found = command("--json")
    assert found.exit_code == 1
    (report,) = json.loads(found.stdout)
    assert {finding["check"] for finding in report["findings"]} == {
        "replication-right",
        "replication-connection",
        "publication-exists",
        "slot-meets-offset",  # a warning: no Kafka runs here
    }

    fixed = command("--fix", "--yes")
    assert fixed.exit_code == 0
    assert f'ALTER ROLE "{stack.role}" REPLICATION;' in fixed.stderr
    assert command("--json").exit_code == 0
    assert PASSWORD not in found.output + fixed.output
