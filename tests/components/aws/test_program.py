"""The program in `stacks/`: which stack it makes of a file, and what it gives out."""

from __future__ import annotations

import json
import runpy
import shutil
import signal
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from headrace.environment import CONFIG_KEY
from tests.components.aws.cloud import built, kinds
from tests.components.aws.managed import foundation_of, sha256, stack_of, write_plugin
from tests.components.recording import Registered
from tests.unit.environment.declarations import REPOSITORY


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, in a project that has the plugin which the declarations name."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return Path(shutil.copytree(REPOSITORY / "stacks", tmp_path / "stacks"))


def config(stacks: Path, stack: str) -> dict[str, Any]:
    """What stands in a stack's file, with the checksum of the plugin that is there."""
    found: dict[str, Any] = yaml.safe_load((stacks / f"Pulumi.{stack}.yaml").read_text())["config"]
    if declared := found.get(CONFIG_KEY):
        plugin = declared["substrate"]["plugin"]
        plugin["sha256"] = sha256(write_plugin(stacks.parent / plugin["archive"]))
    return found


def run(stacks: Path, stack: str) -> tuple[Registered, dict[str, Any]]:
    """What the program registers for a stack's file, and its outputs."""
    outputs: dict[str, Any] = {}
    given = config(stacks, stack)

    def program() -> None:
        text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
        pulumi.runtime.set_all_config(text)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(pulumi, "get_stack", lambda: stack)
            patched.setattr(pulumi, "export", outputs.__setitem__)
            runpy.run_path(str(stacks / "__main__.py"), run_name="__main__")

    return built(program), outputs


def test_a_public_environment_is_one_stack(stacks: Path) -> None:
    made, outputs = run(stacks, "dev")
    assert kinds(made) == kinds(stack_of("dev"))
    assert {"brokers", "flink", "kubeconfig", "policies"} <= outputs.keys()


def test_a_private_environment_stands_on_its_foundation(stacks: Path) -> None:
    made, _ = run(stacks, "prod")
    assert made.keys() == stack_of("prod").keys()
    foundation, outputs = run(stacks, "prod-foundation")
    assert foundation.keys() == foundation_of("prod").keys()
    assert {"backend_url", "bucket_name", "policies", "project_name", "secrets_provider"} == outputs.keys()
