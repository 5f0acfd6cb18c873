"""Taken ports are refused, with what a person needs to act."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.local.ports import PortTaken, refuse_taken_ports


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_is_named_with_its_purpose_its_holder_and_the_setting(
    listener: int, tmp_path: Path
) -> None:
    with pytest.raises(PortTaken) as refused:
        refuse_taken_ports({"Kafka": listener}, tmp_path)
    message = str(refused.value)
    assert f"{listener} (Kafka)" in message
    assert f"pid {os.getpid()}" in message
    assert "substrate.port_base" in message
    assert "nothing was started" in message


def test_free_ports_pass(listener: int, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
    refuse_taken_ports({"Kafka": free}, tmp_path)
