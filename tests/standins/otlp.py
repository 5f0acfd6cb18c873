"""Who traces are sent to: the service of OTLP over gRPC, which keeps what it is given.

It stands for a collector.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

END_TIMEOUT_S = 5


@dataclass(frozen=True)
class Span:
    trace: str
    """32 hex digits."""
    id: str
    parent: str
    """Empty for the trace's first."""
    name: str
    attributes: dict[str, Any]
    resource: dict[str, Any]


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Spans in the order of their arrival."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.port = 0

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        for each in request.resource_spans:
            resource = _attributes(each.resource.attributes)
            for scope in each.scope_spans:
                self.spans += [_span(span, resource) for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """A receiver on this machine, at a free port where none is given."""
    receiver, server = Receiver(), grpc.server(ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)  # type: ignore[no-untyped-call]
    receiver.port = server.add_insecure_port(f"127.0.0.1:{port}")
    assert port in {0, receiver.port}
    server.start()
    try:
        yield receiver
    finally:
        server.stop(None).wait(END_TIMEOUT_S)


def _span(span: Any, resource: dict[str, Any]) -> Span:
    return Span(
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.name,
        _attributes(span.attributes),
        resource,
    )


def _attributes(given: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in given}
