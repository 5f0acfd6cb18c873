"""The real engine runs the pack: a violation stops `up`, and its mending lets it pass."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from headrace.toolchain.runtimes import Runtimes

ROOT = Path(__file__).parents[2]
POLICIES = ROOT / "policies"
PROGRAM = """import json
from pathlib import Path
import pulumi
declared = json.loads((Path(__file__).parents[1] / "declared.json").read_text())
made = {}

def value(given):
    # {"made": NAME} is true once that resource is made, and unknown before.
    known_later = isinstance(given, dict) and given.keys() == {"made"}
    return made[given["made"]].id.apply(bool) if known_later else given

for name, (kind, inputs) in declared.items():
    made[name] = pulumi.CustomResource(kind, name, {key: value(given) for key, given in inputs.items()})
"""
TAGS = {"environment": "prod", "owner": "orders", "cost-centre": "4711"}
KEY = "aws:kms/key:Key"


class Project:
    """A program that declares what it is told, with a stand-in provider and the pack."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "program").mkdir()
        (folder / "program" / "__main__.py").write_text(PROGRAM)
        (folder / "state").mkdir()
        plugin = folder / "plugins" / "pulumi-resource-aws"
        plugin.parent.mkdir()
        provider = Path(__file__).parent / "stand_in_provider.py"
        plugin.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{provider}" "$@"\n')
        plugin.chmod(0o755)
        (folder / "Pulumi.yaml").write_text(
            json.dumps(
                {
                    "name": "judged",
                    "runtime": "python",
                    "main": "program",
                    "plugins": {"providers": [{"name": "aws", "path": str(plugin.parent)}]},
                }
            )
        )
        self.pulumi("stack", "init", "test")

    def declare(self, **resources: tuple[str, Mapping[str, Any]]) -> None:
        (self._folder / "declared.json").write_text(json.dumps(resources))

    def up(self, config: str) -> tuple[int, str]:
        """Exit status and output of `pulumi up` with the pack, configured for an environment."""
        return self.judged("up", "--yes", "--skip-preview", config=config)

    def judged(self, *verb: str, config: str) -> tuple[int, str]:
        return self.pulumi(
            *(*verb, "--stack", "test", "--policy-pack", str(POLICIES / "headrace-policies")),
            *("--policy-pack-config", str(POLICIES / "environments" / f"{config}.json")),
            check=False,
        )

    def made(self) -> set[str]:
        """Types of the resources in the state."""
        deployment = json.loads(self.pulumi("stack", "export", "--stack", "test")[1])["deployment"]
        return {resource["type"] for resource in deployment.get("resources", ())}

    def pulumi(self, *arguments: str, check: bool = True) -> tuple[int, str]:
        path = [str(Path(sys.executable).parent), str(Runtimes.locate().pulumi_bin), os.environ["PATH"]]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
        done = subprocess.run(
            ["pulumi", "--non-interactive", *arguments],
            cwd=self._folder,
            env=inherited
            | {
                "PATH": os.pathsep.join(path),
                "PULUMI_BACKEND_URL": f"file://{self._folder / 'state'}",
                "PULUMI_HOME": str(self._folder / "home"),
                "PULUMI_CONFIG_PASSPHRASE": "test",
                "PULUMI_SKIP_UPDATE_CHECK": "true",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not check, done.stdout
        return done.returncode, done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_violation_stops_an_update_and_its_mending_lets_it_pass(project: Project) -> None:
    project.declare(key=(KEY, {"enableKeyRotation": False, "tags": TAGS}))
    status, output = project.up("prod")
    assert status != 0
    assert "KMS.4" in output
    assert "`enableKeyRotation` is false" in output
    assert KEY not in project.made()

    project.declare(key=(KEY, {"enableKeyRotation": True, "tags": TAGS}))
    status, output = project.up("prod")
    assert status == 0, output
    assert KEY in project.made()


def test_what_stops_production_is_told_in_development(project: Project) -> None:
    project.declare(key=(KEY, {"enableKeyRotation": False, "tags": TAGS}))
    status, output = project.up("dev")
    assert status == 0, output
    assert "`enableKeyRotation` is false" in output
    assert KEY in project.made()


def test_a_relation_is_seen_by_the_engine_too(project: Project) -> None:
    bucket = {"bucket": "orders", "tags": TAGS}
    project.declare(bucket=("aws:s3/bucket:Bucket", bucket))
    status, output = project.up("prod")
    assert status != 0
    assert "bucket bucket has no BucketVersioning" in output


def test_what_the_engine_does_not_know_yet_is_told_in_a_preview_and_judged_at_the_update(
    project: Project,
) -> None:
    seed = ("aws:ec2/flowLog:FlowLog", {"vpcId": "vpc-1", "tags": TAGS})
    project.declare(seed=seed, key=(KEY, {"enableKeyRotation": {"made": "seed"}, "tags": TAGS}))
    status, output = project.judged("preview", config="prod")
    assert status == 0, output
    assert "`enableKeyRotation` is not known before the update, which judges it" in output

    status, output = project.up("prod")
    assert status == 0, output
    assert "is not known" not in output
    assert KEY in project.made()
