"""A stack as the commands see it: its declaration, its plan, its files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from headrace.environment import CONFIG_KEY, Environment, load_environment
from headrace.environment.substrates import AwsSubstrate
from headrace.errors import HeadraceError
from headrace.local.files import StackFiles
from headrace.local.layout import stack_files
from headrace.operations.engine import Engine
from headrace.plan import plan, plan_of
from headrace.plan.aws import AwsPlan
from headrace.plan.model import StackPlan
from headrace.toolchain.runtimes import Runtimes


@dataclass(frozen=True)
class Stack:
    project: Path
    declaration: Path

    @classmethod
    def find(cls, name: str, file: Path | None = None, start: Path | None = None) -> Stack:
        """Stack `name` of the project around `start` (the current folder), or the one that `file` declares.

        Raises:
            HeadraceError: there is no project here, or no such declaration.
        """
        project = _project(start or Path.cwd())
        declaration = (file or project / "stacks" / f"Pulumi.{name}.yaml").resolve()
        if not declaration.is_file():
            files = (project / "stacks").glob("Pulumi.*.yaml")
            known = sorted(path.name[7:-5] for path in files if CONFIG_KEY in path.read_text("utf-8"))
            raise HeadraceError(f"no declaration {declaration}; this project declares: {', '.join(known)}")
        return cls(project, declaration)

    @cached_property
    def environment(self) -> Environment:
        return load_environment(self.declaration)

    @cached_property
    def plan(self) -> StackPlan:
        return plan(self.environment)

    @property
    def any_plan(self) -> StackPlan | AwsPlan:
        """The plan on whatever substrate; :attr:`plan` is for what works on this machine alone."""
        return plan_of(self.environment)

    @property
    def on_aws(self) -> bool:
        return isinstance(self.environment.substrate, AwsSubstrate)

    @property
    def name(self) -> str:
        return self.environment.name

    @property
    def files(self) -> StackFiles:
        return stack_files(self.environment, self.project)

    @cached_property
    def engine(self) -> Engine:
        return Engine(self.name, self.project, self.declaration, self.files, Runtimes.locate())


def _project(start: Path) -> Path:
    for folder in (start, *start.parents):
        # The engine's own copy of the project, in the stack's folder, has no stacks.
        if (folder / "Pulumi.yaml").is_file() and (folder / "stacks").is_dir():
            return folder
    raise HeadraceError(f"no Pulumi.yaml in {start} or above it: run this inside a Headrace project")
