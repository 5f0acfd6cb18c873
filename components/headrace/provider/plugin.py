"""The plugin's process: Pulumi's provider protocol (gRPC) on a port of loopback.

Pulumi's own `main` answers every exception with "Unexpected <class 'Exception'>" and a stack. People read
these answers as the reason why `up` failed, so an error that is meant for them goes out as its message.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

# Shipped without types.
import grpc
from pulumi.provider.experimental.provider import Provider
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2_grpc

from headrace import waiting
from headrace.errors import HeadraceError

ORPHAN_POLL_S, ORPHAN_GRACE_S = 0.5, 2.0
"""How soon the engine's end is noticed, and how long a verb has then to end in order."""


def serve(engine: str, version: str, provider: Provider) -> None:
    """Serve the engine that listens at `engine` (``host:port``) until it ends this process."""
    logger = logging.getLogger("headrace")
    logger.setLevel(logging.INFO)
    logger.addHandler(EngineLog(engine))
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    # An interrupt is how the engine ends a plugin.
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(engine, version, provider))


def _end_with(parent: int) -> None:
    """End this process soon after the engine's, which started it and may be killed.

    What is under way then is what the next command ends: two that do the same would be in each other's way.
    """
    while os.getppid() == parent:
        time.sleep(ORPHAN_POLL_S)
    waiting.cancelled.set()
    time.sleep(ORPHAN_GRACE_S)
    os._exit(1)


async def _serve(engine: str, version: str, provider: Provider) -> None:
    server = grpc.aio.server(interceptors=[ErrorsForPeople()])
    servicer = ProviderServicer([engine], version, provider, engine_address=engine)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    # The engine reads the port from the first line.
    print(port, flush=True)
    await server.wait_for_termination()


class EngineLog(logging.Handler):
    """Passes on to the engine, which shows it, what a person is to read; what a plugin writes to standard
    error it hides. A record's ``urn`` is the resource that it is shown with."""

    def __init__(self, engine: str) -> None:
        super().__init__(logging.INFO)
        self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(engine))

    def emit(self, record: logging.LogRecord) -> None:
        severity = engine_pb2.WARNING if record.levelno >= logging.WARNING else engine_pb2.INFO
        urn = getattr(record, "urn", "")
        self._engine.Log(engine_pb2.LogRequest(severity=severity, message=self.format(record), urn=urn))


class ErrorsForPeople(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Answers a call that failed with a :class:`HeadraceError` with the error's message alone."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        handler = await continuation(handler_call_details)

        async def answer(request: Any, context: grpc.aio.ServicerContext) -> Any:
            try:
                return await handler.unary_unary(request, context)
            except Exception as error:
                for cause in _origins(error):
                    if isinstance(cause, HeadraceError):
                        await context.abort(grpc.StatusCode.UNKNOWN, str(cause))
                raise

        return grpc.unary_unary_rpc_method_handler(
            answer, handler.request_deserializer, handler.response_serializer
        )


def _origins(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those it was raised in place of: the SDK puts one of its own around a provider's."""
    while error:
        yield error
        error = error.__context__
