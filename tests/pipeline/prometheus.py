"""Prometheus with the configuration that the local stack gives it, and what it has."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from headrace.local.context import HOST
from headrace.local.processes import end
from headrace.local.prometheus import CONFIG, configuration
from headrace.toolchain import prometheus_for_tests
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

PROGRAM = prometheus_for_tests.program("prometheus")
READY_TIMEOUT_S = 30


class Prometheus:
    """Its HTTP interface."""

    def __init__(self, endpoint: str) -> None:
        self._client = httpx.Client(base_url=f"{endpoint}/api/v1", trust_env=False)

    def ready(self) -> bool:
        try:
            return self._client.get("/status/runtimeinfo").is_success
        except httpx.TransportError:
            return False

    def sum(self, query: str) -> float:
        """Over all subtasks, of what is scraped now; 0 where nothing is."""
        return sum(float(each["value"][1]) for each in self._asked(f"sum({query})"))

    def has_since(self, query: str, moment: float) -> bool:
        """Whether all of it was scraped after that (epoch seconds)."""
        found = self._asked(f"min(timestamp({query}))")
        return bool(found) and float(found[0]["value"][1]) > moment

    def names(self) -> set[str]:
        """Of all series."""
        return set(self._data("/label/__name__/values"))

    def firing(self) -> set[str]:
        """Names of alerts."""
        found = self._data("/alerts")["alerts"]
        return {each["labels"]["alertname"] for each in found if each["state"] == "firing"}

    def close(self) -> None:
        self._client.close()

    def _asked(self, query: str) -> list[dict[str, Any]]:
        return list(self._data("/query", query=query)["result"])

    def _data(self, path: str, **params: str) -> Any:
        return self._client.get(path, params=params).raise_for_status().json()["data"]


@contextmanager
def prometheus(stack: LiveStack, folder: Path) -> Iterator[Prometheus]:
    """The stack's own where Prometheus is installed; else one in its place, with the same configuration."""
    port = stack.plan.ports.prometheus
    page = Prometheus(f"http://{HOST}:{port}")
    try:
        if page.ready():
            yield page
            return
        with _started(stack, folder, port):
            until("Prometheus", page.ready, READY_TIMEOUT_S)
            yield page
    finally:
        page.close()


@contextmanager
def _started(stack: LiveStack, folder: Path, port: int) -> Iterator[None]:
    assert PROGRAM is not None
    for name, text in configuration(stack.plan.ports).items():
        (folder / name).write_text(text)
    command = [PROGRAM, f"--config.file={folder / CONFIG}", f"--storage.tsdb.path={folder / 'data'}"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([*command, f"--web.listen-address={HOST}:{port}"], stdout=quiet, stderr=quiet)
    try:
        yield
    finally:
        end([psutil.Process(process.pid)])
        process.wait()
