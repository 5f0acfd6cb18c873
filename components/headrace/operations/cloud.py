"""A stack on AWS from this machine: brought up where its endpoint is public, else told how.

The engine runs with a person's own settings: their backend, their passphrase, their account.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.operations.engine import quiet, watched
from headrace.operations.stack import Stack
from headrace.plan.aws import aws_plan
from headrace.toolchain import MissingRuntime, places, pulumi_cli

THE_RUNNER_HAS_TO = """environment {name}: the API of its cluster is private; its own runner brings it up.
Nothing was changed. In this order (docs/aws.md):
  1. pulumi up --stack {name}-foundation
  2. pulumi stack output --json --stack {name}-foundation > foundation.json
  3. export PULUMI_BACKEND_URL="$(jq -r .backend_url foundation.json)"
     pulumi stack init {name} --secrets-provider "$(jq -r .secrets_provider foundation.json)"
  4. zip -qr program.zip . -x '.git/*' '*.venv/*' '.headrace/*' foundation.json
     aws s3 cp program.zip "s3://$(jq -r .bucket_name foundation.json)/program.zip"
  5. aws codebuild start-build --project-name "$(jq -r .project_name foundation.json)" \\
       --environment-variables-override name=HEADRACE_STEP,value=up
"""


@dataclass(frozen=True)
class CloudEngine:
    """Pulumi's CLI on the project itself; what it needs of AWS and Kubernetes it fetches."""

    stack: str
    project: Path
    declaration: Path
    pulumi_bin: Path

    @classmethod
    def of(cls, stack: Stack) -> CloudEngine:
        """Raises:
        MissingRuntime: there is no Pulumi CLI.
        """
        if not pulumi_cli.ready():
            raise MissingRuntime(f"not installed: Pulumi CLI; run: {places.SETUP_COMMAND}")
        return cls(stack.name, stack.project, stack.declaration, pulumi_cli.bin_folder())

    def select(self) -> None:
        """Make the stack where a person is logged in to, if it is not there."""
        quiet(self.project, self.environment(), "stack", "select", self.stack, "--create", *self._declared)

    def up(self, *, ask: bool) -> None:
        """Preview, ask unless told otherwise, and update."""
        yes = () if ask else ("--yes",)
        watched(self.project, self.environment(), "up", *yes, "--stack", self.stack, *self._declared)

    def preview(self) -> None:
        """Say what `up` would change."""
        watched(self.project, self.environment(), "preview", "--diff", "--stack", self.stack, *self._declared)

    def environment(self) -> dict[str, str]:
        """What is set already, with this Python and this CLI found first."""
        path = os.pathsep.join([str(Path(sys.executable).parent), str(self.pulumi_bin), os.environ["PATH"]])
        return {**os.environ, "PATH": path, "PULUMI_SKIP_UPDATE_CHECK": "true"}

    @property
    def _declared(self) -> tuple[str, str]:
        return "--config-file", str(self.declaration)


def cloud_up(stack: Stack, *, ask: bool) -> None:
    """Bring a stack on AWS to its declaration.

    Raises:
        HeadraceError: its endpoint is private, so its runner has to; the error tells the commands in order.
    """
    plan = aws_plan(stack.environment)
    if plan.cluster.endpoint_private:
        raise HeadraceError(THE_RUNNER_HAS_TO.format(name=plan.environment))
    engine = CloudEngine.of(stack)
    engine.select()
    engine.up(ask=ask)


def cloud_preview(stack: Stack) -> None:
    """Say what an `up` would change; a private endpoint is asked nothing."""
    engine = CloudEngine.of(stack)
    engine.select()
    engine.preview()
