"""Where a local stack keeps what it has: one folder, so that one folder can be moved, kept or removed."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel's bound is 107, and supervisor binds to a name that is a little longer first."""


@dataclass(frozen=True)
class StackFiles:
    """Layout of a stack's folder. All is below :attr:`root`, but for a socket that does not fit."""

    root: Path

    def data(self, process: str) -> Path:
        """What must survive ``down`` and a reboot."""
        return self.root / "data" / process

    def etc(self, process: str) -> Path:
        """Generated configuration; written anew whenever the process is created or updated."""
        return self.root / "etc" / process

    def scratch(self, process: str) -> Path:
        """What a process may lose."""
        return self.root / "tmp" / process

    def log(self, process: str) -> Path:
        return self.root / "log" / f"{process}.log"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    def secret(self, name: str) -> Path:
        """A file of mode 0600 that holds one secret; only its path is ever passed on."""
        return self.secrets / name

    @property
    def releases(self) -> Path:
        """Agents' code as jobs run it, a folder for each digest."""
        return self.root / "releases"

    def release(self, code: str) -> Path:
        return self.releases / code

    def upgrades(self, agent: str) -> Path:
        """What is known of the agent's upgrades, a file of JSON for each."""
        return self.root / "upgrades" / agent

    @property
    def programs(self) -> Path:
        return self.root / "run" / "programs"

    @property
    def supervisor_config(self) -> Path:
        return self.root / "run" / "supervisord.conf"

    @property
    def supervisor_pid(self) -> Path:
        return self.root / "run" / "supervisord.pid"

    @property
    def supervisor_log(self) -> Path:
        return self.log("supervisord")

    @property
    def session_lock(self) -> Path:
        """Held by the command that changes the stack."""
        return self.root / "run" / "session.lock"

    @property
    def deployed_plan(self) -> Path:
        """The plan that the last complete ``up`` brought the stack to, as JSON."""
        return self.root / "run" / "plan.json"

    @property
    def scaling(self) -> Path:
        """How scaling stands, as JSON: written by its process at every look."""
        return self.root / "run" / "scaling.json"

    @property
    def pulumi(self) -> Path:
        return self.root / "pulumi"

    @property
    def supervisor_socket(self) -> Path:
        """In the folder where it fits: a socket's path has 107 bytes at most, a checkout's may have more.

        Nothing of the calling shell decides it: every command finds the same supervisor.
        """
        inside = self.root.resolve() / "run" / "supervisor.sock"
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
            return inside
        digest = hashlib.sha256(os.fsencode(inside)).hexdigest()[:16]
        return Path("/tmp") / f"headrace-{os.getuid()}" / f"{digest}.sock"  # noqa: S108  (in a folder of mode 0700)


def last_lines(log: Path, count: int) -> str:
    """The end of a log, whatever is in it."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
