"""Where things are: in the checkout, and in the cache that checkouts share."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

TOOLCHAIN = Path(__file__).resolve().parent
CHECKOUT = TOOLCHAIN.parents[2]
LOCKS = CHECKOUT / "locks"
POMS = TOOLCHAIN / "poms"
GO_MODULES = TOOLCHAIN / "pulumi"

GO_ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOTOOLCHAIN": "auto"}
"""Of builds: no C compiler, and nothing that the machine has set."""

SETUP_COMMAND = "make setup"
"""What a person runs to get everything this package finds."""


def cache() -> Path:
    """``$HEADRACE_CACHE``, else ``headrace`` below ``$XDG_CACHE_HOME`` or ``~/.cache``; may not exist yet."""
    if own := os.environ.get("HEADRACE_CACHE"):
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "headrace"


def digest(files: Iterable[Path], *facts: str) -> str:
    """16 hex characters over the files' names and contents, and over the facts; stable between checkouts."""
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(f"{file.relative_to(CHECKOUT)}\0".encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    for fact in facts:
        total.update(f"\0{fact}".encode())
    return total.hexdigest()[:16]


@contextmanager
def built_beside(target: Path) -> Iterator[Path]:
    """A new folder that takes `target`'s place when the block ends well, and is gone when it does not.

    `target` therefore is complete wherever it exists. What a killed run left is removed first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for leftover in target.parent.glob(f".{target.name}.*"):
        # Ignored: a child of the killed run may still write there, and the next setup comes by again.
        shutil.rmtree(leftover, ignore_errors=True)
    # The process's id keeps such a child out of this run's folder.
    building = target.with_name(f".{target.name}.{os.getpid()}")
    building.mkdir()
    try:
        yield building
        if target.exists():
            shutil.rmtree(target)
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


@contextmanager
def only_one(lock: Path, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold `lock`; while another process does, call `waiting` with its id and wait. The dead hold nothing."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            waiting(file.read().strip() or "unknown")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
