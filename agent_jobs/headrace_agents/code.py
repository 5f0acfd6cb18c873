"""An agent's code as a digest: the same on every machine, other code has another."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

RUNTIME_PACKAGE = "headrace_agents"


class NoPackageError(Exception):
    """A package is not installed; the message names it."""


def package_of(entry_point: str) -> str:
    """The package of ``package.module:Class``."""
    return entry_point.partition(":")[0].partition(".")[0]


def package_folder(package: str) -> Path:
    """Folder of an installed package, found without running its code. Raises NoPackageError."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise NoPackageError(
            f"package {package} is not installed: an agent's `entry_point` names a package below agent_jobs/"
        )
    return Path(found.submodule_search_locations[0])


def code_digest(*packages: str, only: str = "*") -> str:
    """Hex SHA-256 over the files of the packages, prompts among them: other code is another job.

    ``only`` takes files whose name fits the pattern. Raises NoPackageError.
    """
    digest = hashlib.sha256()
    for package in sorted(set(packages)):
        folder = package_folder(package)
        files = (path for path in folder.rglob(only) if path.is_file() and "__pycache__" not in path.parts)
        for path in sorted(files):
            digest.update(f"{package}/{path.relative_to(folder)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
