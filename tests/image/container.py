"""A process of an image as a container runtime starts it: what it sees, what it may write, what it may do.

By `unshare`, `mount` and `chroot`, so it needs root and no engine. The network stays the machine's, memory
has no bound, and system calls have no filter.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

DEVICES = ("full", "null", "random", "urandom", "zero")
OF_THE_MACHINE = ("/etc/hosts", "/etc/resolv.conf")
"""Files that a runtime lays over the image's."""


@dataclass(frozen=True)
class Volume:
    """Something that is mounted."""

    path: str
    """Where, in the container."""
    files: Path | None = None
    """A folder, which can't be written; None: an empty one, which the container's group can write."""


TMP = Volume("/tmp")


@dataclass(frozen=True)
class Container:
    """How processes of an image are run; each has its own volumes and its own process ids."""

    root: Path
    """The image's root file system, mounted."""
    config: Mapping[str, Any]
    """As the image says how it is run."""
    volumes: Sequence[Volume] = (TMP,)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Beside the image's."""

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """To its end."""
        return subprocess.run(self._unshared(command), capture_output=True, text=True, check=False)

    def start(self, command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Goes on by itself; with this process all of its container ends."""
        return subprocess.Popen(self._unshared(command), stdout=log, stderr=subprocess.STDOUT)

    def _unshared(self, command: Sequence[str]) -> list[str]:
        user, _, group = str(self.config["User"]).partition(":")
        rights = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
        rights += ["--bounding-set=-all", "--inh-caps=-all"]
        own = [f"{name}={value}" for name, value in self.environment.items()]
        environment = ["env", "--ignore-environment", f"--chdir={self.config['WorkingDir']}"]
        environment += [*self.config["Env"], *own]
        script = "\n".join(["set -e", *self._mounts(group), 'exec chroot . "$@"'])
        unshare = ["unshare", "--mount", "--ipc", "--pid", "--fork", "--kill-child"]
        said = [*rights, *environment, *self.config["Entrypoint"], *command]
        return [*unshare, "sh", "-c", script, "sh", *said]

    def _mounts(self, group: str) -> Iterator[str]:
        root = shlex.quote(str(self.root))
        yield f"mount --bind {root} {root} && cd {root}"
        # Where something is mounted there is a place for it, also in an image that has none.
        yield from (f"mkdir -p .{volume.path}" for volume in self.volumes)
        yield from (f"touch .{path}" for path in OF_THE_MACHINE)
        yield "mount --options remount,ro,bind ."
        yield "mount -t proc proc ./proc"
        yield "mount -t tmpfs -o mode=755 dev ./dev && mkdir ./dev/shm && ln -s /proc/self/fd ./dev/fd"
        yield "mount -t tmpfs -o mode=1777 shm ./dev/shm"
        yield from (f"touch ./dev/{name} && mount --bind /dev/{name} ./dev/{name}" for name in DEVICES)
        yield from (f"mount --bind {path} .{path}" for path in OF_THE_MACHINE)
        for volume in self.volumes:
            if volume.files is None:
                yield f"mount -t tmpfs -o mode=2770,gid={group} tmpfs .{volume.path}"
            else:
                files = shlex.quote(str(volume.files))
                yield f"mount --bind {files} .{volume.path} && mount -o remount,ro,bind .{volume.path}"
