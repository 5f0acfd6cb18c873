"""The image that `headrace image build` makes on a Debian root, mounted; a local stack for its processes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headrace.toolchain import places
from tests.image.container import Container
from tests.pipeline.plugin import Pipeline, pytest_runtest_makereport, running
from tests.pipeline.stack import ROOT, renamed

__all__ = ["pytest_runtest_makereport"]

BASE = "localhost/headrace-base:bookworm"
RELEASE, INCLUDED = "bookworm", "openjdk-17-jre-headless,python3"
TOOLS = ("buildah", "mmdebstrap", "unshare", "chroot")
DRIVERS = ("overlay", "vfs")
"""Of the images' store, the quickest first; a container of CI may be allowed the second alone."""
STORAGE = '[storage]\ndriver = "{driver}"\ngraphroot = "{root}/storage"\nrunroot = "{root}/run"\n'
STACK, PORT_BASE = ROOT / "stacks" / "Pulumi.local.yaml", 27500

Told = Callable[..., str]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    lacks = [tool for tool in TOOLS if shutil.which(tool) is None]
    if lacks or os.geteuid() != 0:
        pytest.skip(f"needs root and {', '.join(lacks or TOOLS)}: that the Dockerfile builds is not proved")
    scratch = tmp_path_factory.mktemp("image")
    told = store(scratch)
    base = told("buildah", "from", "scratch")
    told("buildah", "add", base, debian(told), "/")
    told("buildah", "commit", "--rm", base, BASE)
    headrace = Path(sys.executable).with_name("headrace")
    built = json.loads(told(headrace, "image", "build", "--base", BASE, "--tool", "buildah", "--json"))
    inspected = json.loads(told("buildah", "inspect", "--type", "image", built["image"]))
    container = told("buildah", "from", built["image"])
    yield Container(Path(told("buildah", "mount", container)), inspected["OCIv1"]["config"])
    told("buildah", "umount", container)
    told("buildah", "rm", container)
    # Gigabytes, which pytest would keep.
    told("buildah", "rmi", "--all")
    shutil.rmtree(scratch)


def store(scratch: Path) -> Told:
    """What runs a command with a store of images of its own; it returns the output."""
    conf = scratch / "storage.conf"
    # Without an engine and without namespaces of its own, as in a container of CI.
    env = os.environ | {"CONTAINERS_STORAGE_CONF": str(conf), "BUILDAH_ISOLATION": "chroot"}

    def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    def told(*command: str | Path) -> str:
        done = run(*command)
        assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
        return done.stdout.strip()

    for driver in DRIVERS:
        conf.write_text(STORAGE.format(driver=driver, root=scratch))
        if run("buildah", "info").returncode == 0:
            return told
    raise AssertionError(f"no store of images by {', '.join(DRIVERS)}")


def debian(told: Told) -> Path:
    """A root with what the Dockerfile asks its base for, as an archive; kept among what setup keeps."""
    facts = hashlib.sha256(f"{RELEASE} {INCLUDED}".encode()).hexdigest()[:16]
    archive = places.cache() / f"debian-{facts}.tar"
    if not archive.exists():
        unfinished = archive.with_suffix(f".{os.getpid()}.tar")
        told("mmdebstrap", "--variant=minbase", f"--include={INCLUDED}", RELEASE, unfinished)
        unfinished.rename(archive)
    return archive


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The shipped local stack, under a name and ports of its own."""
    yield from running(renamed(STACK, tmp_path_factory.mktemp("stack"), "image", PORT_BASE).declaration)
