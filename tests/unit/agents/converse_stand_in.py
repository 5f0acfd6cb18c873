"""A stand-in of Bedrock's runtime on loopback: the wire of Converse, and of InvokeModel for embeddings.

Shapes, paths, codes of errors and their status are those of botocore's own description of the service
(``bedrock-runtime/2023-09-30/service-2.json``); what it refuses is what Bedrock is known to refuse.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from headrace_agents.provider_kit import RETRY_AFTER_S, Behaviour
from headrace_agents.scripted_model.rules import triage
from headrace_agents.scripted_model.schema_instance import instance
from headrace_agents.scripted_model.vectors import vector

ACCESS_KEY = "AKIDSTANDIN"
ERRORS: dict[str, tuple[int, str, str]] = {
    "auth": (403, "UnrecognizedClientException", "The security token included in the request is invalid."),
    "overloaded": (503, "ServiceUnavailableException", "Try again later."),
    "rate_limited": (429, "ThrottlingException", "Too many tokens, please wait before trying again."),
    "rate_limited_until": (429, "ThrottlingException", "Too many requests."),
    "refused": (400, "ValidationException", "The provided model identifier is invalid."),
    "too_long": (400, "ValidationException", "prompt is too long: 200049 tokens > 200000 maximum"),
}
"""By the behaviour: status, code, message."""


@dataclass
class ConverseStandIn:
    """What came in, and what becomes of it."""

    url: str = ""
    how: Behaviour = "answers"
    stop_reason: str | None = None
    """In place of the one that the answer has."""
    error: tuple[int, str, str] | None = None
    """In place of what the behaviour says."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    _calls: int = 0
    _keys: set[str | None] = field(default_factory=set)

    async def behave(self, how: Behaviour) -> None:
        self.how = how

    async def calls(self) -> int:
        return self._calls

    async def keys(self) -> Collection[str | None]:
        return self._keys

    async def converse(self, request: web.Request) -> web.Response:
        body = await self._let_in(request)
        if isinstance(body, web.Response):
            return body
        self._keys.add(body.get("requestMetadata", {}).get("idempotency-key"))
        if refusal := _refusal(body):
            return _error(400, "ValidationException", refusal)
        content, reason = _answer(body)
        if self.how == "declined":
            reason = "guardrail_intervened"
        return web.json_response(
            {
                "output": {"message": {"role": "assistant", "content": content}},
                "stopReason": self.stop_reason or reason,
                "usage": {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10},
                "metrics": {"latencyMs": 1},
            }
        )

    async def invoke(self, request: web.Request) -> web.Response:
        body = await self._let_in(request)
        if isinstance(body, web.Response):
            return body
        metadata = json.loads(request.headers["X-Amzn-Bedrock-Request-Metadata"])
        self._keys.add(metadata.get("idempotency-key"))
        texts, given = _embedded(unquote(request.match_info["model"]), body)
        tokens = str(sum(len(text.split()) for text in texts))
        return web.json_response(given, headers={"X-Amzn-Bedrock-Input-Token-Count": tokens})

    async def _let_in(self, request: web.Request) -> dict[str, Any] | web.Response:
        self._calls += 1
        body: dict[str, Any] = await request.json()
        self.bodies.append(body)
        self.models.append(unquote(request.match_info["model"]))
        if self.how == "hangs":
            await asyncio.get_running_loop().create_future()
        if self.how == "garbled":
            return web.Response(text="<html><body>Bad Gateway</body></html>", content_type="text/html")
        if f"Credential={ACCESS_KEY}/" not in request.headers.get("Authorization", ""):
            return _error(*ERRORS["auth"])
        if failure := self.error or ERRORS.get(self.how):
            header = {
                "rate_limited": str(RETRY_AFTER_S),
                "rate_limited_until": formatdate(time.time() + RETRY_AFTER_S, usegmt=True),
            }.get(self.how)
            return _error(*failure, retry_after=header)
        return body


@asynccontextmanager
async def serving_converse() -> AsyncIterator[ConverseStandIn]:
    """Serves while the block runs."""
    stand_in = ConverseStandIn()
    app = web.Application(client_max_size=8 << 20)
    app.add_routes(
        [
            web.post("/model/{model}/converse", stand_in.converse),
            web.post("/model/{model}/invoke", stand_in.invoke),
        ]
    )
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        stand_in.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield stand_in
    finally:
        await runner.cleanup()


def _error(status: int, code: str, message: str, *, retry_after: str | None = None) -> web.Response:
    headers = {"X-Amzn-ErrorType": code}
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    return web.json_response({"message": message}, status=status, headers=headers)


def _refusal(body: dict[str, Any]) -> str | None:
    """Why Bedrock would not take it."""
    messages = body.get("messages", [])
    roles = [message["role"] for message in messages]
    if not roles or roles[0] != "user":
        return "A conversation must start with a user message."
    if any(one == other for one, other in pairwise(roles)):
        return "A conversation must alternate between user and assistant roles."
    blocks = [block for message in messages for block in message["content"]]
    if any("text" in block and not block["text"].strip() for block in blocks):
        return "The text field in the ContentBlock object is blank."
    of_tools = any("toolUse" in block or "toolResult" in block for block in blocks)
    if of_tools and not body.get("toolConfig", {}).get("tools"):
        return "The toolConfig field must be defined when using toolUse and toolResult content blocks."
    return None


def _answer(body: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Calls the tool that the question names, once; the last one of those of which one must be called."""
    if body.get("inferenceConfig", {}).get("maxTokens") == 1:
        return [{"text": "Scripted"}], "max_tokens"
    config = body.get("toolConfig", {})
    tools = {tool["toolSpec"]["name"]: tool["toolSpec"] for tool in config.get("tools", [])}
    blocks = [block for message in body["messages"] for block in message["content"]]
    question = next(
        block["text"]
        for message in reversed(body["messages"])
        for block in message["content"]
        if message["role"] == "user" and "text" in block
    )
    called = {block["toolUse"]["name"] for block in blocks if "toolUse" in block}
    named = [name for name in tools if name in question and name not in called]
    if not named and "any" in config.get("toolChoice", {}):
        named = list(tools)[-1:]
    if not named:
        return [{"text": "Scripted answer, by rules."}], "end_turn"
    given = instance(tools[named[0]]["inputSchema"]["json"], triage(question))
    return [{"toolUse": {"toolUseId": "tooluse_1", "name": named[0], "input": given}}], "tool_use"


def _embedded(model: str, body: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    if "titan" in model:
        texts = [body["inputText"]]
        numbers = vector(texts[0], body.get("dimensions", 1024))
        return texts, {"embedding": numbers, "inputTextTokenCount": len(texts[0].split())}
    vectors = [vector(text, body.get("output_dimension", 1536)) for text in body["texts"]]
    return body["texts"], {"id": "1", "embeddings": {"float": vectors}, "response_type": "embeddings_by_type"}
