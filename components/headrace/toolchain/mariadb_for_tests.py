"""MariaDB's server and client, from Debian's packages: a test captures from it. A stack never runs it.

They stand under ``<cache>/mariadb``, with the libraries that a machine may lack. One without Debian's package
tools has none, and the test that needs them says so.
"""

from __future__ import annotations

import os
from pathlib import Path

from . import places
from .console import Step, StepFailed
from .debian import can_be_had, download

__all__ = ["can_be_had", "client", "environment", "home", "make", "ready", "server", "share"]

PACKAGES = ("mariadb-server-core", "mariadb-client-core")
SERVER_LIBRARIES = ("liburing2", "libaio1", "libsnappy1v5", "libpmem1")
CLIENT_LIBRARIES = ("libmariadb3", "libedit2", "libbsd0", "libmd0")
"""Of Debian 12; what another release lacks of them is left out, and may be on the machine."""
LIBRARY_FOLDERS = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")


def home() -> Path:
    """Whether anything is in it or not."""
    return places.cache() / "mariadb"


def server() -> Path:
    return home() / "usr" / "sbin" / "mariadbd"


def client() -> Path:
    return home() / "usr" / "bin" / "mariadb"


def share() -> Path:
    """With messages, and the statements that make a new server's own tables."""
    return home() / "usr" / "share" / "mysql"


def environment() -> dict[str, str]:
    """For both: where their libraries are."""
    return {"LD_LIBRARY_PATH": os.pathsep.join(str(home() / folder) for folder in LIBRARY_FOLDERS)}


def ready() -> bool:
    return all(os.access(program, os.X_OK) for program in (server(), client()))


def make(step: Step) -> None:
    """Fetch and unpack the packages; nothing of the machine is changed but the lists of what there is.

    Raises:
        StepFailed: with the package tools' output.
    """
    with places.built_beside(home()) as building:
        download(step, building, *PACKAGES)
        for library in (*SERVER_LIBRARIES, *CLIENT_LIBRARIES):
            try:
                step.run("apt-get", "download", library, cwd=building)
            except StepFailed:
                continue
        for archive in building.glob("*.deb"):
            step.run("dpkg-deb", "--extract", archive, building)
            archive.unlink()
