"""Prometheus and promtool, from Debian's package: tests scrape with it, and have its rules judged.

They stand under ``<cache>/prometheus/bin``. A machine without Debian's package tools has none, and tests that
need one say so.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import places
from .console import Step
from .debian import can_be_had, download

__all__ = ["bin_folder", "can_be_had", "make", "program", "ready"]

PACKAGE = "prometheus"
PROGRAMS = ("prometheus", "promtool")


def bin_folder() -> Path:
    """Whether anything is in it or not."""
    return places.cache() / "prometheus" / "bin"


def program(name: str) -> str | None:
    """The machine's own where it has one, else the one that was fetched; None where there is neither."""
    return shutil.which(name, path=f"{os.environ['PATH']}{os.pathsep}{bin_folder()}")


def ready() -> bool:
    return all(os.access(bin_folder() / program, os.X_OK) for program in PROGRAMS)


def make(step: Step) -> None:
    """Fetch and unpack the package; nothing of the machine is changed but the lists of what there is.

    Raises:
        StepFailed: with the package tools' output.
    """
    with places.built_beside(bin_folder().parent) as building:
        download(step, building, PACKAGE)
        (archive,) = building.glob(f"{PACKAGE}_*.deb")
        step.run("dpkg-deb", "--extract", archive, building / "package")
        (building / "bin").mkdir()
        for program in PROGRAMS:
            (building / "package" / "usr" / "bin" / program).rename(building / "bin" / program)
        shutil.rmtree(building / "package")
        archive.unlink()
