"""Where on this machine a local environment's folder is."""

from __future__ import annotations

from pathlib import Path

from headrace.environment import Environment
from headrace.local.files import StackFiles

FOLDER = ".headrace"


def stack_files(environment: Environment, project: Path) -> StackFiles:
    """``substrate.data_dir`` where it is declared, else ``.headrace/NAME`` in the project."""
    declared = environment.local.data_dir
    folder = Path(declared).expanduser() if declared else Path(FOLDER) / environment.name
    return StackFiles((project / folder).resolve())
