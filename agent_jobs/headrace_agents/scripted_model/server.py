"""The HTTP server: routes, the order of what happens to a call, start and stop."""

from __future__ import annotations

import asyncio
import errno
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from email.utils import formatdate
from hashlib import blake2b
from http import HTTPStatus
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from headrace_agents.scripted_model import chance, rules
from headrace_agents.scripted_model.calls import CLIENT_CLOSED_REQUEST, Call, CallLog
from headrace_agents.scripted_model.limiter import Limiter
from headrace_agents.scripted_model.settings import RateLimit, Settings, reasons
from headrace_agents.scripted_model.wire import (
    RefusedError,
    check_model,
    completion,
    error_body,
    model_body,
    parse,
    usage,
)

HOST = "127.0.0.1"
"""The only address it listens on: it has no access control."""
_SERVER = "scripted-model"
_MAX_BODY_BYTES = 8 * 1024 * 1024
_STOP_GRACE_S = 0.5


class PortTakenError(OSError):
    """Somebody else listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(errno.EADDRINUSE, f"port {port} of {HOST} is taken by another process")
        self.port = port


@asynccontextmanager
async def serving(settings: Settings, log: Path, port: int = 0) -> AsyncIterator[str]:
    """Serves while the block runs; gives the base URL for OpenAI clients (``http://127.0.0.1:PORT/v1``).

    Port 0 takes a free one. At the end, calls in flight have half a second to be answered.

    Raises:
        PortTakenError: somebody else listens on ``port``.
        OSError: ``log`` can't be opened for appending.
    """
    calls = CallLog(log)
    # Cancellation tells a call that its client went away; without it hung calls would stay for ever.
    runner = web.AppRunner(
        _Server(settings, calls).application(),
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=_STOP_GRACE_S,
    )
    try:
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, port).start()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTakenError(port) from None
            raise
        yield f"http://{HOST}:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()
        calls.close()


class _Server:
    def __init__(self, settings: Settings, calls: CallLog) -> None:
        self._calls = calls
        self._use(settings)

    def _use(self, settings: Settings) -> None:
        self._settings = settings
        self._limiter = Limiter(settings.rate_limit.per_second) if settings.rate_limit else None
        # Calls that are worked on by now stay where they are.
        self._places = asyncio.Semaphore(settings.capacity) if settings.capacity else nullcontext()

    def application(self) -> web.Application:
        app = web.Application(middlewares=[_errors_as_openai_has_them], client_max_size=_MAX_BODY_BYTES)
        app.on_response_prepare.append(_say_who_answers)
        app.add_routes(
            [
                web.post("/v1/chat/completions", self._chat),
                web.get("/v1/models", self._list_models),
                web.get("/v1/models/{model}", self._get_model),
                web.get("/settings", self._get_settings),
                web.put("/settings", self._put_settings),
                web.get("/calls", self._get_calls),
                web.delete("/calls", self._delete_calls),
            ]
        )
        return app

    async def _chat(self, request: web.Request) -> web.Response:
        arrived = time.monotonic()
        call = self._calls.begin(request.headers.get("Idempotency-Key"), int(time.time() * 1000))
        try:
            response = await self._answer(request, call, arrived)
        except (RefusedError, web.HTTPException) as refusal:
            call.status = refusal.status
            raise
        except asyncio.CancelledError:
            call.status = CLIENT_CLOSED_REQUEST
            raise
        else:
            call.status = response.status
            return response
        finally:
            call.latency_ms = round((time.monotonic() - arrived) * 1000, 3)
            self._calls.end(call)

    async def _answer(self, request: web.Request, call: Call, arrived: float) -> web.Response:
        """Refusals and the rate limit answer at once; everything else after the latency, or never."""
        settings = self._settings
        chat = parse(await request.read())
        call.model = chat.model
        answer = rules.reply(chat)
        call.outcome = "rate_limited"
        if settings.refused_for_s is not None:
            raise _too_many("scripted storm: every call is refused", str(settings.refused_for_s))
        self._check_rate(settings.rate_limit, arrived)

        drawn = chance.draw(settings.seed, call.idempotency_key, call.attempt)
        fate = chance.fate(settings, drawn)
        if fate is chance.Fate.HUNG:
            call.outcome = fate
            await asyncio.get_running_loop().create_future()
        call.outcome = "abandoned"
        async with self._places:
            begun = time.monotonic() if settings.capacity else arrived
            await asyncio.sleep(begun + chance.latency_s(settings, drawn) - time.monotonic())
        call.outcome = fate
        if fate is chance.Fate.ERROR:
            status = chance.error_status(drawn)
            raise RefusedError(status, f"scripted error: {HTTPStatus(status).phrase}", kind="server_error")
        if fate is chance.Fate.MALFORMED:
            answer = rules.broken(answer)
        used = usage(chat, answer, settings.tokens)
        call.used(used)
        return web.json_response(completion(_completion_id(settings.seed, call), answer, used))

    def _check_rate(self, limit: RateLimit | None, now: float) -> None:
        if limit is None or self._limiter is None or (wait_s := self._limiter.wait_s(now)) == 0:
            return
        if limit.retry_after == "date":
            retry_after = formatdate(math.ceil(time.time() + wait_s), usegmt=True)
        else:
            retry_after = str(math.ceil(wait_s))
        raise _too_many(f"scripted rate limit: {limit.per_second:g} requests a second", retry_after)

    async def _list_models(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [model_body()]})

    async def _get_model(self, request: web.Request) -> web.Response:
        check_model(request.match_info["model"])
        return web.json_response(model_body())

    async def _get_settings(self, _request: web.Request) -> web.Response:
        return self._settings_in_force()

    async def _put_settings(self, request: web.Request) -> web.Response:
        try:
            self._use(Settings.model_validate_json(await request.read()))
        except ValidationError as error:
            message = f"settings are unchanged: {reasons(error)}"
            raise RefusedError(400, message, code="invalid_settings") from None
        return self._settings_in_force()

    def _settings_in_force(self) -> web.Response:
        return web.json_response(text=self._settings.model_dump_json())

    async def _get_calls(self, _request: web.Request) -> web.Response:
        return web.json_response(self._calls.summary())

    async def _delete_calls(self, _request: web.Request) -> web.Response:
        self._calls.forget()
        return web.Response(status=204)


def _too_many(message: str, retry_after: str) -> RefusedError:
    headers = {"Retry-After": retry_after}
    return RefusedError(429, message, kind="requests", code="rate_limit_exceeded", headers=headers)


def _completion_id(seed: int, call: Call) -> str:
    name = f"{seed}\0{call.idempotency_key or ''}\0{call.attempt}".encode(errors="surrogateescape")
    return blake2b(name, digest_size=12).hexdigest()


@web.middleware
async def _errors_as_openai_has_them(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RefusedError as refused:
        body = error_body(refused.message, refused.kind, refused.code)
        return web.json_response(body, status=refused.status, headers=refused.headers)
    except web.HTTPError as error:
        body = error_body(f"{request.method} {request.path}: {error.reason}", "invalid_request_error", None)
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return web.json_response(body, status=error.status, headers=allow)


async def _say_who_answers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = _SERVER
