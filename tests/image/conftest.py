"""A Debian root as the base, and the image that `headrace image build` makes on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BASE = "localhost/headrace-base:bookworm"
RELEASE, INCLUDED = "bookworm", "openjdk-17-jre-headless,python3"
TOOLS = ("buildah", "debootstrap", "unshare", "chroot")
STORAGE = '[storage]\ndriver = "vfs"\ngraphroot = "{root}/storage"\nrunroot = "{root}/run"\n'


@dataclass(frozen=True)
class BuiltImage:
    name: str
    root: Path
    """Its root file system, mounted."""
    config: dict[str, Any]
    """As the image says how it is run."""

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """As a container would: its user, its environment, nothing writable but ``/tmp``."""
        user = self.config["User"]
        # "$0" is the root; what follows is the command.
        script = (
            'mount --bind "$0" "$0" && mount --options remount,ro,bind "$0" && mount -t tmpfs tmpfs "$0/tmp" '
            f'&& mount -t proc proc "$0/proc" && exec chroot --userspec={user} "$0" "$@"'
        )
        environment = dict(each.split("=", 1) for each in self.config["Env"])
        entry = [str(each) for each in self.config["Entrypoint"]]
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, str(self.root), *entry, *command],
            env={"PATH": os.environ["PATH"]} | environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuiltImage]:
    lacks = [tool for tool in TOOLS if shutil.which(tool) is None]
    if lacks or os.geteuid() != 0:
        pytest.skip(f"needs root and {', '.join(lacks or TOOLS)}: that the Dockerfile builds is not proved")
    scratch = tmp_path_factory.mktemp("image")
    conf = scratch / "storage.conf"
    conf.write_text(STORAGE.format(root=scratch))
    # Without an engine and without namespaces of its own, as in a container of CI.
    env = os.environ | {"CONTAINERS_STORAGE_CONF": str(conf), "BUILDAH_ISOLATION": "chroot"}

    def told(*command: str | Path) -> str:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
        return done.stdout.strip()

    debian = scratch / "debian"
    told("debootstrap", "--variant=minbase", f"--include={INCLUDED}", RELEASE, debian)
    base = told("buildah", "from", "scratch")
    told("buildah", "add", base, debian, "/")
    told("buildah", "commit", "--rm", base, BASE)
    shutil.rmtree(debian)
    headrace = Path(sys.executable).with_name("headrace")
    built = json.loads(told(headrace, "image", "build", "--base", BASE, "--tool", "buildah", "--json"))
    inspected = json.loads(told("buildah", "inspect", "--type", "image", built["image"]))
    container = told("buildah", "from", built["image"])
    root = Path(told("buildah", "mount", container))
    yield BuiltImage(built["image"], root, inspected["OCIv1"]["config"])
    told("buildah", "umount", container)
    told("buildah", "rm", container)
