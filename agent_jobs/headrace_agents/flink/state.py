"""A subtask's shards as Flink keeps them: one wait for all that a bundle reads, one for what it writes.

PyFlink asks Flink for one thing at a time: each read of what is not cached, and each shard's changes at the
end of a bundle, is a message to the other process and a wait for its answer. Most of a bundle's time went
there. Here messages are sent at once, and their answers taken when they are needed. Flink answers a worker's
requests in their order, so a read sees the writes before it.

PyFlink has no public way to this: what is used of its inside is used here alone.
"""

# ruff: noqa: SLF001 - see above

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apache_beam.coders import coder_impl
from apache_beam.portability.api.org.apache.beam.model.fn_execution.v1 import beam_fn_api_pb2
from pyflink.common import Row, Types
from pyflink.datastream import RuntimeContext
from pyflink.datastream.state import MapStateDescriptor

BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
SHARD_STATE = "shard"
"""Name of the map that a shard is."""


class FlinkState:
    """The state of the current shard. ``end_bundle`` is called before the bundle's changes are written."""

    def __init__(self, context: RuntimeContext, end_bundle: Callable[[], None]) -> None:
        self._backend = context._keyed_state_backend
        self._end_bundle = end_bundle
        self._map = context.get_map_state(MapStateDescriptor(SHARD_STATE, BYTES, BYTES))
        self.get, self.put, self.remove = self._map.get, self._map.put, self._map.remove
        self.list_keys = self._map.keys
        self._handler = self._backend._map_state_handler
        self._requests = _Requests(self._handler._underlying)
        self._handler._underlying = self._requests
        self._commit = self._backend.commit
        self._backend.commit = self._end_of_bundle

    def select(self, shard_id: int) -> None:
        self._backend.set_current_key(Row(shard_id))

    def prefetch(self, key: bytes) -> None:
        """Asks for what is not at hand; ``get`` takes the answer."""
        shard = self._map.get_internal_state()
        if key in shard._write_cache or self._is_cached(shard, key):
            return
        stream: Any = coder_impl.create_OutputStream()  # type: ignore[attr-defined,no-untyped-call]  # Beam has no types
        stream.write_byte(self._handler.GET_FLAG)
        shard._map_key_encoder(key, stream)
        self._requests.ask(shard._state_key, stream.get())

    def _is_cached(self, shard: Any, key: bytes) -> bool:
        token = self._handler._get_cache_token()
        cached = self._handler._state_cache.peek((shard._state_key.SerializeToString(), token))
        return cached is not None and cached.get(key) is not None

    def _end_of_bundle(self) -> None:
        self._end_bundle()
        self._commit()
        self._requests.wait_for_writes()


class _Requests:
    """What PyFlink takes for the connection to Flink's state."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._asked: dict[tuple[bytes, bytes], Any] = {}
        self._written: list[Any] = []

    def ask(self, state_key: Any, token: bytes) -> None:
        get = beam_fn_api_pb2.StateGetRequest(continuation_token=token)
        request = beam_fn_api_pb2.StateRequest(state_key=state_key, get=get)
        self._asked[state_key.SerializeToString(), token] = self._connection._request(request)

    def get_raw(self, state_key: Any, token: bytes = b"") -> tuple[bytes, bytes]:
        answer = self._asked.pop((state_key.SerializeToString(), token), None)
        if answer is None:
            found: tuple[bytes, bytes] = self._connection.get_raw(state_key, token)
            return found
        response = _checked(answer)
        return response.get.data, response.get.continuation_token

    def append_raw(self, state_key: Any, data: bytes) -> None:
        self._written.append(self._connection.append_raw(state_key, data))

    def clear(self, state_key: Any) -> Any:
        return self._connection.clear(state_key)

    def wait_for_writes(self) -> None:
        self._asked.clear()  # what nobody came for is of the past in the next bundle
        written, self._written = self._written, []
        for answer in written:
            _checked(answer)


def _checked(answer: Any) -> Any:
    """PyFlink itself takes a write for done whatever the answer says."""
    response = answer.get()
    if response.error:
        raise RuntimeError(f"Flink's state: {response.error}")
    return response
