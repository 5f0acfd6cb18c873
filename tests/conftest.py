"""Layers: every test carries the marker of the folder it is in, and unit tests reach loopback alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_socket import socket_allow_hosts

TESTS = Path(__file__).parent
LAYERS = ("unit", "components", "policies", "engine", "local", "chaos", "image", "soak")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        layer = item.path.relative_to(TESTS).parts[0]
        if layer in LAYERS:
            item.add_marker(layer)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("unit"):
        # A loopback server in the test itself is no network; unix sockets wake event loops.
        socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)
