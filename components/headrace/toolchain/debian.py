"""Debian's packages, fetched and not installed: of the machine only the lists of what there is change."""

from __future__ import annotations

import shutil
from pathlib import Path

from .console import Step, StepFailed


def can_be_had() -> bool:
    """Whether the machine has Debian's package tools."""
    return all(map(shutil.which, ("apt-get", "dpkg-deb")))


def download(step: Step, into: Path, *packages: str) -> None:
    """Put the packages' archives into a folder.

    Raises:
        StepFailed: with the package tools' output.
    """
    try:
        step.run("apt-get", "download", *packages, cwd=into)
    except StepFailed:
        # A fresh machine has no lists; only root may fetch them.
        step.run("apt-get", "update")
        step.run("apt-get", "download", *packages, cwd=into)
