"""The mended broker: one method changed, and nothing where the method is not the one that is known."""

from __future__ import annotations

import zipfile

import pytest

from headrace.toolchain import kafka_broker, runtimes
from headrace.toolchain.class_files import UnknownClass

NOBODY = bytes.fromhex("00000018 2ab600322cb400bbb60036b801582bba026a0000b600cdb0")
"""What 4.3.1 gives of a leader that is away, as javac made it, from the code's length on."""
NO_NODE = bytes.fromhex("00000022 2ab600322cb400bbb60036b801582bba026a0000b600cd 00b8026bb600d2b80158 b0")
SIZES = bytes.fromhex("0002 0003")


def test_a_leader_that_is_away_is_no_node_and_no_other_byte_changes() -> None:
    known = b"head" + bytes.fromhex("00000066") + SIZES + NOBODY + b"tail"
    assert kafka_broker.waiting(known) == b"head" + bytes.fromhex("00000070") + SIZES + NO_NODE + b"tail"


@pytest.mark.parametrize("cache", [b"another", b"head" + bytes(4) + SIZES + NO_NODE])
def test_another_class_is_refused(cache: bytes) -> None:
    with pytest.raises(UnknownClass, match="getPartitionLeaderEndpoint"):
        kafka_broker.waiting(cache)


def test_the_installed_broker_is_the_mended_one() -> None:
    (installed,) = (runtimes.home() / "kafka").glob("kafka-metadata-*.jar")
    with zipfile.ZipFile(installed) as archive:
        assert archive.read(kafka_broker.CACHE).count(SIZES + NO_NODE) == 1
