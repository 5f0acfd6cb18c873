"""The two Python environments, each installed from its lock."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import places
from .console import Step

UV_LOCK = places.LOCKS / "uv.txt"
BUILD_LOCK = places.LOCKS / "build.txt"
"""Of what builds dependencies that come only as source."""
IMAGE_LOCK = places.LOCKS / "image.txt"
"""Of what an image of agents holds: the agents' environment without its tests' tools."""
UV_MINIMUM = (0, 9)

QUIET = {"UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}


@dataclass(frozen=True)
class Environment:
    """A virtual environment in the checkout."""

    name: str
    folder: Path
    lock: Path
    projects: tuple[Path, ...]
    """Folders of this repository that are installed as they stand, editable."""

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def ready(self) -> bool:
        """Whether it was made from today's lock and project files, to the end."""
        stamp = self._stamp
        return self.python.exists() and stamp.exists() and stamp.read_text() == self._digest()

    def make(self, uv: Path, step: Step) -> None:
        """Make the environment, or bring the one that is there up to its lock.

        Raises:
            StepFailed: with uv's output.
        """
        self._stamp.unlink(missing_ok=True)
        if not _is_python(self.python, sys.version_info[:2]):
            step.run(uv, "venv", "--clear", "--python", sys.executable, self.folder, env=QUIET)
        target = ("--python", self.python)
        step.run(
            uv, "pip", "sync", *target, "--require-hashes", "--build-constraints", BUILD_LOCK, self.lock,
            cwd=places.CHECKOUT, env=QUIET,
        )  # fmt: skip
        editable = [part for project in self.projects for part in ("--editable", project)]
        # Without isolation: the build backend is in the lock, and an isolated one would not be.
        step.run(
            uv, "pip", "install", *target, "--no-deps", "--no-build-isolation", *editable,
            cwd=places.CHECKOUT, env=QUIET,
        )  # fmt: skip
        self._stamp.write_text(self._digest())

    @property
    def _stamp(self) -> Path:
        return self.folder / ".headrace-stamp"

    def _digest(self) -> str:
        projects = [project / "pyproject.toml" for project in self.projects]
        return places.digest([self.lock, BUILD_LOCK, *projects], str(sys.version_info[:2]))


HEADRACE = Environment(
    "headrace environment",
    places.CHECKOUT / ".venv",
    places.LOCKS / "headrace.txt",
    (places.CHECKOUT, places.CHECKOUT / "agent_jobs"),
)
AGENTS = Environment(
    "agents environment",
    places.CHECKOUT / "agent_jobs" / ".venv",
    places.LOCKS / "agents.txt",
    (places.CHECKOUT / "agent_jobs",),
)
ENVIRONMENTS = (HEADRACE, AGENTS)


def find_uv(step: Step) -> Path:
    """A uv that fits: the one on PATH, else the locked one, installed into the cache.

    Raises:
        StepFailed: with pip's output.
    """
    on_path = shutil.which("uv")
    if on_path and _uv_version(on_path) >= UV_MINIMUM:
        return Path(on_path)
    return locked_uv(step)


def locked_uv(step: Step) -> Path:
    """The uv of locks/uv.txt, from the cache, or installed there.

    Raises:
        StepFailed: with pip's output.
    """
    home = places.cache() / "uv" / places.digest([UV_LOCK], str(sys.version_info[:2]))
    if not (home / "bin" / "uv").exists():
        with places.built_beside(home) as building:
            step.run(sys.executable, "-m", "venv", building / "venv")
            pip = (building / "venv" / "bin" / "python", "-m", "pip", "--disable-pip-version-check")
            step.run(*pip, "install", "--require-hashes", "--only-binary", ":all:", "--requirement", UV_LOCK)
            # A program of its own: it runs from anywhere, which the environment it came in does not.
            (building / "bin").mkdir()
            (building / "venv" / "bin" / "uv").rename(building / "bin" / "uv")
            shutil.rmtree(building / "venv")
    return home / "bin" / "uv"


def _uv_version(uv: str) -> tuple[int, int]:
    done = subprocess.run([uv, "--version"], capture_output=True, text=True, check=False)
    version = re.match(r"uv (\d+)\.(\d+)", done.stdout)
    return (int(version[1]), int(version[2])) if version else (0, 0)


def _is_python(python: Path, version: tuple[int, int]) -> bool:
    """Whether it is there, runs, and is of that version: its base may have been removed or replaced."""
    if not os.access(python, os.X_OK):
        return False
    program = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    return done.stdout.split() == [str(part) for part in version]
