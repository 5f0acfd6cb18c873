"""The project and the environment that the engine is given."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

import pytest
import yaml

from headrace.local.processes import SESSION_MARKER
from headrace.operations.engine import Engine
from headrace.operations.stack import Stack
from headrace.toolchain.runtimes import Runtimes


@pytest.fixture
def engine(stack: Stack, tmp_path: Path) -> Engine:
    runtimes = Runtimes(*(tmp_path / field.name for field in dataclasses.fields(Runtimes)))
    return Engine(stack.name, stack.project, stack.declaration, stack.files, runtimes)


def written(engine: Engine) -> Path:
    engine._project.mkdir(parents=True, exist_ok=True)
    engine._write_project()
    return engine._project


def test_the_engine_reads_the_declaration_and_runs_the_checkouts_program(engine: Engine) -> None:
    folder = written(engine)
    project = yaml.safe_load((folder / "Pulumi.yaml").read_text())
    assert project["main"] == str(engine.project / "stacks")
    assert project["runtime"]["options"]["virtualenv"] == sys.prefix
    assert project["plugins"]["providers"] == [
        {"name": "headrace-local", "path": str(Path(sys.executable).parent)}
    ]
    assert (folder / "Pulumi.local.yaml").read_text() == engine.declaration.read_text()


def test_the_salt_that_the_engine_writes_stays_and_the_declaration_is_renewed(engine: Engine) -> None:
    config = written(engine) / "Pulumi.local.yaml"
    config.write_text(config.read_text() + "encryptionsalt: v1:abc:def\n")
    changed = engine.declaration.read_text().replace("owner: platform", "owner: somebody")
    engine.declaration.write_text(changed)
    written(engine)
    assert config.read_text() == changed + "encryptionsalt: v1:abc:def\n"


def test_state_and_passphrase_are_the_stacks_own(engine: Engine) -> None:
    root, environment = engine.files.root, engine.environment()
    assert environment["PULUMI_BACKEND_URL"] == f"file://{root}/pulumi"
    assert Path(environment["PULUMI_HOME"]).is_relative_to(root)
    assert Path(environment["PULUMI_CONFIG_PASSPHRASE_FILE"]).is_relative_to(root)
    assert engine._environment()[SESSION_MARKER] == str(root)


def test_the_engine_fetches_no_provider(engine: Engine) -> None:
    assert engine._environment()["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"


def test_our_python_and_our_pulumi_are_found_first(engine: Engine) -> None:
    first, second, *_ = engine.environment()["PATH"].split(os.pathsep)
    assert (first, second) == (str(Path(sys.executable).parent), str(engine.runtimes.pulumi_bin))
