"""One command at a time changes a stack, and it cleans up after one that was killed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from headrace.errors import HeadraceError
from headrace.local.files import StackFiles
from headrace.local.processes import SESSION_MARKER, end, marked


class SessionBusy(HeadraceError):
    """Another command is changing the stack."""


@contextmanager
def session(files: StackFiles) -> Iterator[None]:
    """Hold the stack's lock; end what a killed command left running (engine, plugins, Flink's client).

    The kernel releases the lock when its holder dies, however it dies: there is nothing to unlock by hand.

    Raises:
        SessionBusy: another live command holds the lock.
    """
    files.session_lock.parent.mkdir(parents=True, exist_ok=True)
    with files.session_lock.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise SessionBusy(
                f"another headrace command (pid {lock.read().strip()}) is changing the stack in {files.root};"
                " wait for it or stop it. Nothing was changed"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        end(marked(SESSION_MARKER, files.root))
        yield


@contextmanager
def only_one(files: StackFiles, what: str) -> Iterator[None]:
    """Hold a lock of its own for something that must not be done by two at a time, beside the stack's.

    Raises:
        SessionBusy: another live command holds it.
    """
    path = files.session_lock.with_name(f"{what}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SessionBusy(
                f"another headrace command holds {path}; wait for it or stop it. Nothing was changed"
            ) from None
        yield
