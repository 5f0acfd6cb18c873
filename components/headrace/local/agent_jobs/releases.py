"""Agents' code as jobs run it: a copy, so that a job keeps its code while the checkout's changes.

A worker that is started again imports the same modules as the one before it, and an upgrade that is undone
finds the code that it goes back to.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.local.files import StackFiles


def code_digest(packages: Mapping[str, Path]) -> str:
    """Hex SHA-256 over the files of packages (name -> folder), prompts among them: other code is another job."""
    digest = hashlib.sha256()
    for name, folder in sorted(packages.items()):
        for path in _files(folder):
            digest.update(f"{name}/{path.relative_to(folder)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def release(files: StackFiles, code: str, packages: Mapping[str, Path]) -> Path:
    """The folder with the packages of that digest, copied where it is not there yet.

    Raises:
        HeadraceError: the packages have changed since their digest was taken.
    """
    folder = files.release(code)
    if folder.exists():
        return folder
    made = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(made, ignore_errors=True)
    for name, source in packages.items():
        shutil.copytree(source, made / name, ignore=shutil.ignore_patterns("__pycache__"))
    if code_digest({name: made / name for name in packages}) != code:
        shutil.rmtree(made)
        names = ", ".join(sorted(packages))
        raise HeadraceError(f"the code of {names} changed while the command ran; run it again")
    made.rename(folder)
    return folder


def remove_but(files: StackFiles, codes: Iterable[str]) -> None:
    """Remove the releases that none of these digests names."""
    kept = set(codes)
    for folder in files.releases.iterdir() if files.releases.exists() else ():
        if folder.name not in kept:
            shutil.rmtree(folder, ignore_errors=True)


def _files(folder: Path) -> Iterable[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
