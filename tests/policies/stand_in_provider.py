"""A provider in AWS's place: it takes every resource as it is. The engine's part is what is real."""

from __future__ import annotations

import sys

from pulumi.provider.experimental import provider as api

from headrace.provider.plugin import serve

VERSION = "7.51.1"


class Anything(api.Provider):
    async def check_config(self, request: api.CheckRequest) -> api.CheckResponse:
        return api.CheckResponse(inputs=request.new_inputs)

    async def diff_config(self, _request: api.DiffRequest) -> api.DiffResponse:
        return api.DiffResponse()

    async def configure(self, _request: api.ConfigureRequest) -> api.ConfigureResponse:
        return api.ConfigureResponse()

    async def check(self, request: api.CheckRequest) -> api.CheckResponse:
        return api.CheckResponse(inputs=request.new_inputs)

    async def diff(self, request: api.DiffRequest) -> api.DiffResponse:
        return api.DiffResponse(changes=request.old_state != request.new_inputs)

    async def create(self, request: api.CreateRequest) -> api.CreateResponse:
        return api.CreateResponse("" if request.preview else "made", request.properties)

    async def update(self, request: api.UpdateRequest) -> api.UpdateResponse:
        return api.UpdateResponse(request.news)

    async def delete(self, request: api.DeleteRequest) -> None:
        return None


if __name__ == "__main__":
    serve(sys.argv[-1], VERSION, Anything())
