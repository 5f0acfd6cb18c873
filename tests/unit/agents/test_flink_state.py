"""A bundle's reads and writes of state, through PyFlink's own backend, over a connection of the test."""

from __future__ import annotations

import struct
import warnings
from types import SimpleNamespace
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # PyFlink warns of itself
    from pyflink.datastream.state import MapStateDescriptor
    from pyflink.fn_execution.coders import from_type_info
    from pyflink.fn_execution.state_impl import RemoteKeyedStateBackend

    from headrace_agents.flink.state import FlinkState

LENGTH = struct.Struct(">i")


class Answer:
    def __init__(self, data: bytes = b"", error: str = "") -> None:
        self.response = SimpleNamespace(error=error, get=SimpleNamespace(data=data, continuation_token=b""))

    def get(self) -> Any:
        return self.response


class Connection:
    """Flink's side: shards' maps, in the bytes of PyFlink's protocol."""

    def __init__(self) -> None:
        self.maps: dict[bytes, dict[bytes, bytes]] = {}
        self.log: list[str] = []
        self.error = ""

    def get_raw(self, state_key: Any, token: bytes) -> tuple[bytes, bytes]:
        self.log.append("read and wait")
        return self._found(state_key, token), b""

    def append_raw(self, state_key: Any, data: bytes) -> Answer:
        self.log.append("write")
        entries = self.maps.setdefault(state_key.multimap_side_input.key, {})
        at = LENGTH.size
        for _ in range(LENGTH.unpack_from(data)[0]):
            flag, (key, at) = data[at], _field(data, at + 1)
            if flag == 2:
                entries[key], at = _field(data, at)
            else:
                entries.pop(key, None)
        return Answer(error=self.error)

    def clear(self, state_key: Any) -> Answer:
        raise NotImplementedError

    def _request(self, request: Any) -> Answer:
        self.log.append("ask")
        return Answer(self._found(request.state_key, request.get.continuation_token))

    def _found(self, state_key: Any, token: bytes) -> bytes:
        value = self.maps.get(state_key.multimap_side_input.key, {}).get(token[1:])
        return b"\x02" if value is None else b"\x00" + value


def _field(data: bytes, at: int) -> tuple[bytes, int]:
    start = at + LENGTH.size
    end = start + LENGTH.unpack_from(data, at)[0]
    return data[start:end], end


class Cache:
    def __init__(self) -> None:
        self._entries: dict[Any, Any] = {}

    def is_cache_enabled(self) -> bool:
        return True

    def peek(self, key: Any) -> Any:
        return self._entries.get(key)

    def put(self, key: Any, value: Any) -> None:
        self._entries[key] = value


class Keys:
    """Coder of the current key."""

    def get_impl(self) -> Keys:
        return self

    def encode(self, key: Any) -> bytes:
        return str(key).encode()


class Worker:
    def __init__(self) -> None:
        self.connection = Connection()
        context = SimpleNamespace(user_state_cache_token=b"token", bundle_cache_token=b"bundle")
        handler = SimpleNamespace(_state_cache=Cache(), _underlying=self.connection, _context=context)
        self.backend = RemoteKeyedStateBackend(handler, Keys(), None, 100, 100, 100)
        self.ends = 0
        runtime = SimpleNamespace(_keyed_state_backend=self.backend, get_map_state=self._map_state)
        self.state = FlinkState(runtime, self._end)

    def _map_state(self, descriptor: MapStateDescriptor) -> Any:
        coder: Any = from_type_info(descriptor.type_info)
        return self.backend.get_map_state(descriptor.name, coder._key_coder, coder._value_coder)

    def _end(self) -> None:
        self.ends += 1


def test_what_was_asked_for_is_read_without_another_message() -> None:
    worker = Worker()
    worker.state.select(1)
    worker.state.put(b"k", b"one")
    worker.backend.commit()
    again = Worker()
    again.connection.maps = worker.connection.maps

    again.state.select(1)
    again.state.prefetch(b"k")
    again.state.prefetch(b"absent")
    again.state.select(2)
    again.state.prefetch(b"k")
    found = again.state.get(b"k")
    again.state.select(1)

    assert (again.state.get(b"k"), again.state.get(b"absent"), found) == (b"one", None, None)
    assert again.connection.log == ["ask", "ask", "ask"]


def test_what_is_at_hand_is_not_asked_for() -> None:
    worker = Worker()
    worker.state.select(1)
    worker.state.put(b"k", b"one")
    worker.state.prefetch(b"k")
    worker.backend.commit()
    worker.state.prefetch(b"k")

    assert worker.state.get(b"k") == b"one"
    assert worker.connection.log == ["write"]


def test_an_answer_is_of_its_bundle_alone() -> None:
    worker = Worker()
    worker.state.select(1)
    worker.state.prefetch(b"k")
    worker.backend.commit()
    worker.connection.maps[b"Row(1)"] = {}
    worker.state.put(b"k", b"new")
    worker.backend.commit()

    assert worker.state.get(b"k") == b"new"


def test_the_end_of_a_bundle_writes_every_shard_and_removes_what_was_removed() -> None:
    worker = Worker()
    for shard in (1, 2):
        worker.state.select(shard)
        worker.state.put(b"a", b"%d" % shard)
        worker.state.put(b"b", b"gone")
    worker.backend.commit()
    worker.state.select(1)
    worker.state.remove(b"b")
    worker.backend.commit()

    first, second = worker.connection.maps.values()
    assert ([*first.values()], len(second)) == ([first[next(iter(first))]], 2)
    assert worker.ends == 2
    assert worker.connection.log == ["write"] * 3


def test_state_that_could_not_be_written_fails_the_bundle() -> None:
    worker = Worker()
    worker.connection.error = "disk full"
    worker.state.select(1)
    worker.state.put(b"k", b"one")

    with pytest.raises(RuntimeError, match="disk full"):
        worker.backend.commit()
