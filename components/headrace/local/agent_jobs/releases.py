"""Agents' code as jobs run it: a copy, so that a job keeps its code while the checkout's changes.

A worker that is started again imports the same modules as the one before it, and an upgrade that is undone
finds the code that it goes back to.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.local.agent_jobs.inputs import SPEC, AgentJobInputs, folder_name
from headrace.local.files import StackFiles
from headrace.upgrades.record import FolderHistory
from headrace_agents.code import digest_of

KEPT_S = 24 * 3600
"""At least, whether it is used or not."""
UNFINISHED = "unfinished-"
"""How the folder of a release begins that is still copied."""


def release(files: StackFiles, code: str, packages: Mapping[str, Path]) -> Path:
    """The folder with the packages of that digest, copied where it is not there yet.

    Raises:
        HeadraceError: the packages have changed since their digest was taken.
    """
    folder = files.release(code)
    if folder.exists():
        os.utime(folder)  # somebody is about to use it
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Another agent's job may be about to make the same one.
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder.parent) as unfinished:
        made = Path(unfinished, "release")
        for name, source in packages.items():
            shutil.copytree(source, made / name, ignore=shutil.ignore_patterns("__pycache__"))
        if digest_of({name: made / name for name in packages}) != code:
            names = ", ".join(sorted(packages))
            raise HeadraceError(f"the code of {names} changed while the command ran; run it again")
        try:
            made.rename(folder)
        except OSError:
            if not folder.exists():
                raise
    return folder


def release_of(inputs: AgentJobInputs) -> Path:
    """The folder with the code of an agent's job. Raises as :func:`release` does."""
    packages = {name: Path(folder) for name, folder in inputs.packages.items()}
    return release(inputs.files, inputs.job_spec.code, packages)


def remove_unused(files: StackFiles) -> None:
    """Remove the releases that no agent's job was submitted with last and no upgrade under way knows, except
    for new ones: another agent's upgrade may be about to use one."""
    specs = files.etc(folder_name("*"))
    used = {json.loads(path.read_text())["code"] for path in specs.parent.glob(f"{specs.name}/{SPEC}")}
    for folder in files.upgrades("*").parent.glob("*"):
        if interrupted := FolderHistory(folder).unfinished():
            used |= {interrupted.before.code, interrupted.after.code}
    for folder in files.releases.iterdir() if files.releases.exists() else ():
        if folder.name not in used and time.time() - folder.stat().st_mtime > KEPT_S:
            shutil.rmtree(folder, ignore_errors=True)
