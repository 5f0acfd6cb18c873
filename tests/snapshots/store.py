"""The object store alone, with buckets that a test fills as files: no database, no broker, no Flink."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from headrace.environment import CONFIG_KEY
from headrace.local.context import HOST
from headrace.local.java import java_command, properties
from headrace.local.object_store import LOGBACK
from headrace.plan.ports import SINGLE
from headrace.state.layout import BUCKETS
from headrace.toolchain.runtimes import Runtimes
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until
from tests.unit.environment.declarations import shipped

START_TIMEOUT_S = 60
STACK = "stored"


@dataclass(frozen=True)
class StoreAlone:
    stack: LiveStack
    """Declared as the shipped one; of its processes only the object store runs."""
    data: Path
    """A folder for each bucket, with a file for each object."""

    def objects(self) -> set[str]:
        """Paths of all objects, as Flink has them; a folder may go while this looks."""
        return {
            f"s3://{Path(folder, name).relative_to(self.data)}"
            for bucket in BUCKETS
            for folder, _, names in os.walk(self.data / bucket)
            for name in names
        }

    def file(self, path: str) -> Path:
        return self.data / path.removeprefix("s3://")


@contextmanager
def store_alone(folder: Path) -> Iterator[StoreAlone]:
    """S3Proxy as a local stack runs it, on a free port."""
    stack = _declared(folder, _port_base())
    data, etc = folder / "data", folder / "etc"
    for path in (etc, *(data / bucket for bucket in BUCKETS)):
        path.mkdir(parents=True)
    plan = stack.plan.object_store
    place = {"jclouds.filesystem.basedir": str(data)}
    (etc / "s3proxy.properties").write_text(properties(plan.settings | place))
    (etc / "logback.xml").write_text(LOGBACK)
    command = java_command(
        "org.gaul.s3proxy.Main",
        f"{Runtimes.locate().s3proxy}/*",
        plan.heap_mib,
        ("--properties", str(etc / "s3proxy.properties")),
        logback=etc / "logback.xml",
    )
    with (folder / "s3proxy.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        url = f"http://{HOST}:{stack.plan.ports.object_store}/{BUCKETS[0]}"
        until("the object store answers", lambda: _answers(url), START_TIMEOUT_S)
        yield StoreAlone(stack, data)
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_S)


def _declared(folder: Path, port_base: int) -> LiveStack:
    environment = shipped()
    environment["substrate"] |= {"port_base": port_base, "data_dir": str(folder / "stack")}
    declaration = folder / f"Pulumi.{STACK}.yaml"
    declaration.write_text(yaml.safe_dump({"config": {CONFIG_KEY: environment}}))
    return LiveStack(declaration)


def _port_base() -> int:
    """So that the object store's port, a few above it, was just free."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = int(probe.getsockname()[1])
    return port - list(SINGLE).index("object_store")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False
