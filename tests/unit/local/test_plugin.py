"""What the engine is told when a verb fails."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from pulumi.provider.experimental import provider as api
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime.proto.provider_pb2 import GetSchemaRequest

from headrace.errors import HeadraceError
from headrace.provider.plugin import ErrorsForPeople


class Provider(api.Provider):
    """Has a schema, or the error that it was given."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__()
        self.error = error

    async def get_schema(self, request: api.GetSchemaRequest) -> api.GetSchemaResponse:
        if self.error:
            raise self.error
        return api.GetSchemaResponse(schema="the schema")


class Answered(Exception):
    """What grpc raises out of a call that was answered with a status."""


class Context:
    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise Answered(code, details)


def schema(error: Exception | None) -> Any:
    """What comes of asking the SDK's servicer for the schema, through our interceptor."""
    servicer = ProviderServicer([], "0", Provider(error), engine_address="")

    async def handler(details: Any) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(servicer.GetSchema)

    async def answer() -> Any:
        intercepted = await ErrorsForPeople().intercept_service(handler, None)
        return await intercepted.unary_unary(GetSchemaRequest(), Context())

    return asyncio.run(answer()).schema


def test_an_error_for_people_is_told_as_its_message() -> None:
    with pytest.raises(Answered) as told:
        schema(HeadraceError("the port is taken"))
    assert told.value.args == (grpc.StatusCode.UNKNOWN, "the port is taken")


def test_any_other_error_keeps_its_stack() -> None:
    with pytest.raises(Exception, match=r"division by zero:\n.*File"):
        schema(ZeroDivisionError("division by zero"))


def test_an_answer_passes() -> None:
    assert schema(None) == "the schema"
