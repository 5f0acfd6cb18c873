"""The HTTP server: routes, the order of what happens to a call, start and stop."""

from __future__ import annotations

import asyncio
import errno
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from email.utils import formatdate
from functools import partial
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
from headrace_agents.scripted_model.spoilt import ANSWERS, IN_TURN, Spoilt
from headrace_agents.scripted_model.vectors import vector
from headrace_agents.scripted_model.wire import (
    RefusedError,
    check_key,
    check_model,
    check_prompt,
    completion,
    cut,
    embedding_usage,
    embeddings,
    error_body,
    model_body,
    parse,
    parse_embedding,
    prompt_tokens,
    usage,
)

HOST = "127.0.0.1"
"""The only address it listens on: it has no access control."""
_SERVER = "scripted-model"
_MAX_BODY_BYTES = 8 * 1024 * 1024
_STOP_GRACE_S = 0.5
Answer = Callable[[bytes, Call, float], Awaitable[web.Response]]
"""Of a request's body; the float is when it arrived, by the monotonic clock."""


class _SpoiltError(Exception):
    """What is sent is no answer."""

    def __init__(self, spoilt: Spoilt) -> None:
        super().__init__()
        self.spoilt = spoilt


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
        self._turns: dict[str | None, int] = {}
        """Keys by the order in which they came, for answers in turn."""
        self._limiter = Limiter(settings.rate_limit.per_second) if settings.rate_limit else None
        # Calls that are worked on by now stay where they are.
        self._places = asyncio.Semaphore(settings.capacity) if settings.capacity else nullcontext()

    def application(self) -> web.Application:
        app = web.Application(middlewares=[_errors_as_openai_has_them], client_max_size=_MAX_BODY_BYTES)
        app.on_response_prepare.append(_say_who_answers)
        app.add_routes(
            [
                web.post("/v1/chat/completions", partial(self._logged, self._chat)),
                web.post("/v1/embeddings", partial(self._logged, self._embed)),
                web.get("/v1/models", self._list_models),
                web.get("/v1/models/{model}", self._get_model),
                web.get("/settings", self._get_settings),
                web.put("/settings", self._put_settings),
                web.get("/calls", self._get_calls),
                web.delete("/calls", self._delete_calls),
            ]
        )
        return app

    async def _logged(self, answer: Answer, request: web.Request) -> web.Response:
        arrived = time.monotonic()
        call = self._calls.begin(request.headers.get("Idempotency-Key"), int(time.time() * 1000))
        try:
            check_key(request.headers.get("Authorization"), self._settings.api_key)
            response = await self._answered(answer, request, call, arrived)
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

    async def _answered(
        self, answer: Answer, request: web.Request, call: Call, arrived: float
    ) -> web.Response:
        try:
            return await answer(await request.read(), call, arrived)
        except _SpoiltError as error:
            return await _sent(request, error.spoilt)

    async def _chat(self, body: bytes, call: Call, arrived: float) -> web.Response:
        settings = self._settings
        chat = parse(body)
        call.model = chat.model
        answer = cut(chat, rules.reply(chat))
        texts = [message.text for message in chat.messages]
        check_prompt(texts, prompt_tokens(chat, settings.tokens), settings)
        fate = await self._fate(settings, call, arrived)
        if fate is chance.Fate.GARBLED:
            return _garbled()
        if fate is chance.Fate.MALFORMED:
            answer = rules.broken(answer)
        if fate is chance.Fate.DECLINED:
            answer = rules.declined()
        used = usage(chat, answer, settings.tokens)
        call.used(used)
        return web.json_response(completion(_completion_id(settings.seed, call), answer, used))

    async def _embed(self, body: bytes, call: Call, arrived: float) -> web.Response:
        settings = self._settings
        asked = parse_embedding(body)
        call.model = asked.model
        vectors = [vector(text, asked.dimensions) for text in asked.texts]
        used = embedding_usage(asked, settings.tokens)
        check_prompt(asked.texts, used.prompt_tokens, settings)
        fate = await self._fate(settings, call, arrived)
        if fate is chance.Fate.GARBLED:
            return _garbled()
        if fate is chance.Fate.MALFORMED:
            vectors = vectors[1:]
        call.used(used)
        return web.json_response(embeddings(vectors, used))

    async def _fate(self, settings: Settings, call: Call, arrived: float) -> chance.Fate:
        """Of a call that is to be answered: the rate limit and spoilt answers come at once, everything else
        after the latency, or never. Raises RefusedError for what is not answered, and _SpoiltError."""
        call.outcome = "rate_limited"
        if settings.refused_for_s is not None:
            raise _too_many("scripted storm: every call is refused", str(settings.refused_for_s))
        self._check_rate(settings.rate_limit, arrived)

        if (spoilt := self._spoilt(call)) is not None:
            call.outcome = "spoilt"
            raise _SpoiltError(spoilt)
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
        return fate

    def _spoilt(self, call: Call) -> Spoilt | None:
        """The same for all attempts with one key."""
        name = self._settings.spoilt
        if name != "in_turn":
            return None if name is None else ANSWERS[name]
        turn = self._turns.setdefault(call.idempotency_key, len(self._turns))
        return IN_TURN[turn % len(IN_TURN)]

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


def _garbled() -> web.Response:
    return web.Response(text="<html><body>Bad Gateway</body></html>", content_type="text/html")


async def _sent(request: web.Request, spoilt: Spoilt) -> web.Response:
    """What no server would send goes past the server."""
    if request.transport is not None:
        request.transport.write(spoilt.make())
        if spoilt.hangs:
            await asyncio.get_running_loop().create_future()
        request.transport.close()
    return web.Response()


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
