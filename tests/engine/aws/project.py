"""The shipped program in a project of a test: the real engine, the stand-ins as its providers."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from headrace.toolchain.runtimes import Runtimes
from tests.engine.aws.scene import REGION
from tests.standins.aws.account import Account
from tests.standins.journal import Operation, operations
from tests.standins.place import DELAY_VARIABLE, SEED_VARIABLE, VARIABLE, Place
from tests.standins.plugins import ROOT, write_plugins

DECLARATION = "headrace:environment"
ENVIRONMENTS = ("dev", "prod")
PASSPHRASE = "a passphrase of a test"
Declaration = dict[str, Any]
Variables = Mapping[str, str]
COMPONENTS = ("headrace:", "pulumi:")
"""Prefixes of types that no provider makes."""


@dataclass(frozen=True)
class Done:
    """How a command of the engine ended, and all that it printed."""

    status: int
    output: str


class Project:
    """A folder with a program for `stack`, against one account and one cluster."""

    def __init__(self, folder: Path, place: Place, stack: str) -> None:
        self.folder, self.place, self.stack = folder, place, stack
        place.write()
        (folder / "state").mkdir(parents=True)
        _write_aws(folder / "bin", place.kubernetes_token)
        # The provider of our own is the real one.
        ours = {"name": "headrace-aws", "path": str(Path(sys.executable).parent)}
        self.plugins = [*write_plugins(folder / "plugins"), ours]

    def start(self, main: str) -> None:
        """Write the project, whose program is in the folder `main`, and make the stack."""
        project = {
            "name": "headrace",
            "runtime": "python",
            "main": main,
            "stackConfigDir": "stacks",
            "plugins": {"providers": self.plugins},
        }
        (self.folder / "Pulumi.yaml").write_text(json.dumps(project), encoding="utf-8")
        (self.folder / "stacks").mkdir(exist_ok=True)
        self.pulumi("stack", "init", self.stack)

    def up(self, *options: str, environment: Variables | None = None) -> Done:
        return self.pulumi("up", "--yes", "--skip-preview", *options, environment=environment)

    def refresh(self) -> Done:
        return self.pulumi("refresh", "--yes", "--skip-preview")

    def destroy(self, *, check: bool = True, environment: Variables | None = None) -> Done:
        return self.pulumi("destroy", "--yes", "--skip-preview", check=check, environment=environment)

    def preview(self, environment: Variables | None = None) -> dict[str, str]:
        """``type name`` -> what would be done to it, for everything that would not stay as it is."""
        found = json.loads(self.pulumi("preview", "--json", only_stdout=True, environment=environment).output)
        return {
            _named(step["urn"]): step["op"]
            for step in found["steps"]
            if step["op"] != "same" and not _named(step["urn"]).startswith("pulumi:pulumi:Stack")
        }

    def resources(self) -> dict[str, dict[str, Any]]:
        """``type name`` -> the resource as the state has it."""
        return {_named(each["urn"]): each for each in self.deployment().get("resources") or ()}

    def deployment(self) -> dict[str, Any]:
        exported = json.loads(self.pulumi("stack", "export", only_stdout=True).output)
        found: dict[str, Any] = exported["deployment"]
        return found

    def made(self) -> set[str]:
        """``type name`` of what a provider has made."""
        return {key for key in self.resources() if not key.startswith(COMPONENTS)}

    def operations(self) -> list[Operation]:
        return operations(self.place.operations)

    def done(self) -> Counter[str]:
        """How often providers created, updated and deleted; what was only read does not count."""
        return Counter(each.op for each in self.operations() if each.op != "read" and not each.failed)

    def forget(self) -> None:
        """Count from here."""
        self.place.operations.unlink(missing_ok=True)

    def pulumi(
        self,
        *arguments: str,
        check: bool = True,
        only_stdout: bool = False,
        environment: Variables | None = None,
    ) -> Done:
        done = subprocess.run(
            ["pulumi", "--non-interactive", *arguments, *self._stack(arguments)],
            cwd=self.folder,
            env=self.environment() | dict(environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if only_stdout else subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{done.stdout}{done.stderr or ''}"
        return Done(done.returncode, done.stdout)

    def environment(self) -> dict[str, str]:
        """Of a process of this project; nothing of the machine's own Pulumi or AWS is in it."""
        path = [
            str(self.folder / "bin"),
            str(Path(sys.executable).parent),
            str(Runtimes.locate().pulumi_bin),
            os.environ["PATH"],
        ]
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "AWS_"))
        }
        return inherited | {
            "PATH": os.pathsep.join(path),
            "PYTHONPATH": str(ROOT),
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "AWS_REGION": REGION,
            VARIABLE: str(self.place.folder),
        }

    def _stack(self, arguments: tuple[str, ...]) -> tuple[str, ...]:
        return () if arguments[:2] == ("stack", "init") else ("--stack", self.stack)


class Shipped(Project):
    """The program of `stacks/`, and the shipped declaration of an environment, which a test may change."""

    def __init__(self, folder: Path, place: Place, stack: str) -> None:
        super().__init__(folder, place, stack)
        shutil.copytree(ROOT / "stacks", folder / "stacks")
        self._account = Account(place.aws_endpoint, REGION, place.record)
        self._shipped = {environment: self._with_what_is_there(environment) for environment in ENVIRONMENTS}
        self.restore()
        self.start("stacks")

    def declare(self, environment: str, change: Callable[[Declaration], None]) -> None:
        """Let `change` change an environment's shipped declaration."""
        declaration = copy.deepcopy(self._shipped[environment])
        change(declaration)
        settings = self._settings(environment)
        # What else the engine keeps in that file stays.
        settings["config"][DECLARATION] = declaration
        file = self.folder / "stacks" / f"Pulumi.{environment}.yaml"
        file.write_text(json.dumps(settings), encoding="utf-8")

    def restore(self) -> None:
        """Declare what is shipped."""
        for environment in ENVIRONMENTS:
            self.declare(environment, lambda _: None)

    def beside(self, stack: str) -> Shipped:
        """Another stack of the same project."""
        other = copy.copy(self)
        other.stack = stack
        other.pulumi("stack", "init", stack)
        return other

    def _settings(self, environment: str) -> dict[str, Any]:
        file = self.folder / "stacks" / f"Pulumi.{environment}.yaml"
        found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
        return found

    def _with_what_is_there(self, environment: str) -> Declaration:
        """As shipped, with a plugin and groups of databases that are there: what is shipped names none.

        The databases are not: no look at them is required here, but in `test_source.py`.
        """
        declaration: Declaration = self._settings(environment)["config"][DECLARATION]
        plugin = declaration["substrate"]["plugin"]
        archive = self.folder / plugin["archive"]
        archive.write_bytes(b"a plugin")
        plugin["sha256"] = hashlib.sha256(archive.read_bytes()).hexdigest()
        for database in declaration["substrate"]["databases"]:
            database["preflight"] = "skipped"
            database["security_group_id"] = self._account.ec2.create_security_group(
                GroupName=f"{environment}-{database['source']}", Description="A source database"
            )["GroupId"]
        return declaration


def random_delays(seed: int, delay_s: float) -> dict[str, str]:
    """For :meth:`Project.up`: each operation is delayed, and not all alike."""
    return {SEED_VARIABLE: str(seed), DELAY_VARIABLE: str(delay_s)}


def _write_aws(folder: Path, token: str) -> None:
    """What stands in for AWS's command line, of which `aws eks get-token` alone is asked."""
    folder.mkdir()
    api = "client.authentication.k8s.io/v1"
    credential = {"apiVersion": api, "kind": "ExecCredential", "status": {"token": token}}
    answer, program = folder / "token.json", folder / "aws"
    answer.write_text(json.dumps(credential), encoding="utf-8")
    program.write_text(f'#!/bin/sh\n[ "$1 $2" = "eks get-token" ] && exec cat "{answer}"\nexit 1\n')
    program.chmod(0o755)


def _named(urn: str) -> str:
    parts = urn.split("::")
    return f"{parts[-2].rpartition('$')[2]} {parts[-1]}"
