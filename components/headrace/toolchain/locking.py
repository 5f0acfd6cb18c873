"""Writes locks/: every distribution with its hashes, and neither a registry's host nor a path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from . import environments, maven, places
from .console import Console, Step, StepFailed

ROOT_PROJECT = "pyproject.toml"
AGENTS_PROJECT = "agent_jobs/pyproject.toml"

SOURCES: dict[Path, tuple[str, ...]] = {
    environments.HEADRACE.lock: (ROOT_PROJECT, "--group", f"{ROOT_PROJECT}:dev"),
    environments.AGENTS.lock: (AGENTS_PROJECT, "--extra", "runtime", "--group", f"{ROOT_PROJECT}:agents-dev"),
    environments.IMAGE_LOCK: (AGENTS_PROJECT, "--extra", "runtime", "--constraint", "locks/agents.txt"),
    environments.BUILD_LOCK: ("--group", f"{ROOT_PROJECT}:build"),
    environments.UV_LOCK: ("--group", f"{ROOT_PROJECT}:uv"),
}
"""What each lock is worked out from, as arguments of ``uv pip compile``."""


def write_locks(console: Console, *, upgrade: bool) -> None:
    """Resolve anew. Versions that a lock already has are kept where they still fit, unless `upgrade`.

    Raises:
        StepFailed: something can't be resolved, or a lock would say where it came from.
    """
    with console.step("uv") as step:
        # The locked one, so that everyone's locks look the same.
        uv = environments.locked_uv(step)
    for lock, source in SOURCES.items():
        with console.step(f"lock {lock.stem}") as step:
            _compile(uv, step, lock, source, upgrade=upgrade)
    with console.step("checksums of the runtimes") as step:
        maven.write_checksums(step)


def _compile(uv: Path, step: Step, lock: Path, source: tuple[str, ...], *, upgrade: bool) -> None:
    step.run(
        uv, "pip", "compile", *source, "--output-file", lock.relative_to(places.CHECKOUT),
        "--python-version", "3.11", "--generate-hashes", "--no-annotate", "--quiet",
        "--no-emit-package", "headrace-agents", "--custom-compile-command", "make lock",
        *(["--upgrade"] if upgrade else []),
        cwd=places.CHECKOUT, env=environments.QUIET,
    )  # fmt: skip
    if told := list(whereabouts(lock.read_text())):
        raise StepFailed(f"{lock} names where packages come from: {', '.join(told)}")


def whereabouts(lock: str) -> Iterator[str]:
    """Words of a lock that are no requirement, hash or comment: hosts, paths, options of an index."""
    allowed = re.compile(r"[\w.\-\[\],]+==[\w.!+]+|--hash=sha256:[0-9a-f]{64}|\\")
    for line in lock.splitlines():
        if not line.startswith("#"):
            yield from (word for word in line.split() if not allowed.fullmatch(word))
