"""The model client: attempts, pauses and errors, over a transport that never leaves the process."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel

from headrace_agents.chat import ChatRequest, Completion, Message, ModelError, ToolCall, ToolSchema, Usage
from headrace_agents.model.breaker import Breaker
from headrace_agents.model.concurrency import Concurrency
from headrace_agents.model.endpoint import CallFigures
from headrace_agents.model.endpoint import Endpoint as ModelEndpoint
from headrace_agents.model.openai_provider import OpenAiProvider
from headrace_agents.spec import ModelSpec

SPEC = ModelSpec(endpoint="http://model.test/v1", name="m", timeout_ms=200, max_attempts=3, max_concurrency=2)


class Answer(BaseModel):
    queue: str


REQUEST = ChatRequest((Message("user", "hello"),), "key-1", Answer)
GOOD = '{"queue": "general"}'


def completion(text: Any, *, finish_reason: str = "stop", **message: Any) -> httpx2.Response:
    choice = {
        "index": 0,
        "finish_reason": finish_reason,
        "message": {"role": "assistant", "content": text, **message},
    }
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    body = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "usage": usage,
    }
    return httpx2.Response(200, json=body)


def tool_calls(*calls: tuple[Any, Any, Any]) -> list[dict[str, Any]]:
    return [
        {"id": number, "type": "function", "function": {"name": name, "arguments": arguments}}
        for number, name, arguments in calls
    ]


def refused(status: int, message: str = "no", **fields: Any) -> httpx2.Response:
    return httpx2.Response(status, json={"error": {"message": message, **fields}})


class Endpoint:
    """Answers in turn; the last answer stands for all that follow."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What would have been slept between attempts; by the breaker's clock it has passed."""
    slept: list[float] = []
    passed = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal passed
        slept.append(seconds)
        passed += seconds

    monkeypatch.setattr("headrace_agents.model.endpoint.asyncio.sleep", sleep)
    monkeypatch.setattr("headrace_agents.model.endpoint.Breaker", lambda: Breaker(clock=lambda: passed))
    return slept


def client_of(spec: ModelSpec, endpoint: Callable[[httpx2.Request], Any], **layers: Any) -> ModelEndpoint:
    transport = httpx2.MockTransport(endpoint)
    return ModelEndpoint(spec, OpenAiProvider(spec, httpx2.AsyncClient(transport=transport)), **layers)


def ask(
    endpoint: Callable[[httpx2.Request], Any], spec: ModelSpec = SPEC, request: ChatRequest = REQUEST
) -> Completion:
    async def run() -> Completion:
        client = client_of(spec, endpoint)
        try:
            return await client.complete(request)
        finally:
            await client.close()

    return asyncio.run(run())


def sent(endpoint: Endpoint) -> dict[str, Any]:
    (request,) = endpoint.requests
    body: dict[str, Any] = json.loads(request.content)
    return body


def test_the_schema_of_the_answer_is_sent_and_the_text_comes_back_as_it_is() -> None:
    endpoint = Endpoint(completion("{"))

    assert ask(endpoint) == Completion("{", usage=Usage(3, 2), model="m")
    assert endpoint.requests[0].headers["Idempotency-Key"] == "key-1"
    assert sent(endpoint)["response_format"]["json_schema"]["schema"]["properties"].keys() == {"queue"}


def test_what_is_not_asked_for_is_not_sent() -> None:
    endpoint = Endpoint(completion("hi"))

    ask(endpoint, request=ChatRequest((Message("user", "hello"),), "key-1"))

    assert sent(endpoint) == {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def test_tools_their_calls_and_their_results_are_sent() -> None:
    endpoint = Endpoint(completion("done"))
    call = ToolCall("c1", "refund", '{"order": 1}')
    messages = (
        Message("user", "refund 1"),
        Message("assistant", "", (call,)),
        Message("tool", "ok", tool_call_id="c1"),
    )
    tools = (ToolSchema("refund", "Pays back.", {"type": "object"}),)

    ask(endpoint, request=ChatRequest(messages, "k", tools=tools, temperature=0.5, max_output_tokens=9))

    body = sent(endpoint)
    assert body["messages"][1:] == [
        {"role": "assistant", "content": None, "tool_calls": tool_calls(("c1", "refund", '{"order": 1}'))},
        {"role": "tool", "content": "ok", "tool_call_id": "c1"},
    ]
    described = {"name": "refund", "description": "Pays back.", "parameters": {"type": "object"}}
    assert body["tools"] == [{"type": "function", "function": described}]
    assert (body["temperature"], body["max_tokens"]) == (0.5, 9)


def test_calls_of_tools_come_back_in_their_order() -> None:
    answer = completion(None, tool_calls=tool_calls(("c1", "a", "{}"), ("c2", "b", "no json")))

    assert ask(Endpoint(answer)).tool_calls == (ToolCall("c1", "a", "{}"), ToolCall("c2", "b", "no json"))


def test_an_answer_that_stopped_at_a_limit_of_tokens_is_marked() -> None:
    assert ask(Endpoint(completion("and then", finish_reason="length"))).cut_off


@pytest.mark.parametrize(
    ("answer", "kind", "attempts"),
    [
        (httpx2.Response(429), "rate_limited", 3),
        (httpx2.Response(503), "overloaded", 3),
        (httpx2.Response(409), "overloaded", 3),
        (httpx2.ConnectError("refused"), "overloaded", 3),
        (httpx2.ReadTimeout("slow"), "timeout", 3),
        (refused(401), "auth", 1),
        (refused(403), "auth", 1),
        (refused(400), "refused", 1),
        (refused(404), "refused", 1),
        (refused(400, code="context_length_exceeded"), "too_long", 1),
        (refused(400, "This model's maximum context length is 10 tokens"), "too_long", 1),
        (refused(413), "too_long", 1),
        (httpx2.Response(304), "unknown", 1),
        (completion(None, refusal="I will not"), "refused", 1),
        (httpx2.Response(200, text="<html>"), "malformed", 3),
        (httpx2.Response(200, json={"choices": []}), "malformed", 3),
        (httpx2.Response(200, json=[]), "malformed", 3),
        (completion(None), "malformed", 3),
        (completion(None, tool_calls=tool_calls(("c1", "a", {"not": "text"}))), "malformed", 3),
        (completion(None, tool_calls=[{}]), "malformed", 3),
    ],
)
def test_a_failure_has_a_kind_and_its_number_of_attempts(
    pauses: list[float], answer: httpx2.Response | Exception, kind: str, attempts: int
) -> None:
    endpoint = Endpoint(answer)

    with pytest.raises(ModelError) as raised:
        ask(endpoint)

    assert raised.value.kind == kind
    assert len(endpoint.requests) == attempts
    assert len(pauses) == attempts - 1


def test_an_endpoint_that_recovers_is_asked_again_with_the_same_key(pauses: list[float]) -> None:
    endpoint = Endpoint(httpx2.Response(500), httpx2.Response(200, text="<html>"), completion(GOOD))

    assert ask(endpoint).text == GOOD
    assert {request.headers["Idempotency-Key"] for request in endpoint.requests} == {"key-1"}
    assert all(0 <= pause <= 0.5 for pause in pauses)


def test_retry_after_is_waited_for(pauses: list[float]) -> None:
    ask(Endpoint(httpx2.Response(429, headers={"Retry-After": "7"}), completion(GOOD)))

    assert 7 <= pauses[0] <= 7.25


def test_retry_after_may_be_a_date(pauses: list[float]) -> None:
    header = formatdate(time.time() + 60, usegmt=True)

    ask(Endpoint(httpx2.Response(429, headers={"Retry-After": header}), completion(GOOD)))

    assert 50 <= pauses[0] <= 61


def test_retry_after_that_says_nothing_is_as_good_as_none(pauses: list[float]) -> None:
    ask(Endpoint(httpx2.Response(429, headers={"Retry-After": "soon"}), completion(GOOD)))

    assert pauses[0] <= 0.25


def test_no_more_calls_at_once_than_allowed() -> None:
    now = most = 0

    full = asyncio.Event()

    async def answer(request: httpx2.Request) -> httpx2.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if now == SPEC.max_concurrency:
            full.set()
        await full.wait()
        now -= 1
        return completion(GOOD)

    async def run() -> None:
        client = client_of(SPEC, answer)
        await asyncio.gather(*(client.complete(REQUEST) for _ in range(10)))
        await client.close()

    asyncio.run(run())

    assert most == SPEC.max_concurrency


def test_calls_are_counted_and_fewer_are_made_at_once_after_what_the_provider_cant_take(
    pauses: list[float],
) -> None:
    concurrency, figures = Concurrency(8, 8), CallFigures()
    heard: list[int] = []

    async def answer(request: httpx2.Request) -> httpx2.Response:
        assert concurrency.figures.calls_in_flight == 1
        heard.append(concurrency.limit)
        return httpx2.Response(429) if len(heard) == 1 else completion(GOOD)

    async def run() -> None:
        client = client_of(SPEC, answer, concurrency=concurrency, figures=figures)
        await client.complete(REQUEST)
        await client.close()

    asyncio.run(run())

    assert heard == [8, 6]
    assert concurrency.figures.calls_in_flight == 0
    counted = (figures.calls_waiting, figures.calls_answered, figures.calls_limited, figures.calls_failed)
    assert counted == (0, 1, 1, 0)
    assert figures.calls_retried == 1
    durations = figures.gen_ai_client_operation_duration_seconds
    assert {kind: sum(each.counts) for kind, each in durations.items()} == {"rate_limited": 1, "": 1}


def test_the_key_comes_from_its_file_and_nowhere_else(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("secret-1\n")
    endpoint = Endpoint(completion(GOOD))

    ask(endpoint, SPEC.model_copy(update={"api_key_file": str(file)}))

    assert endpoint.requests[0].headers["Authorization"] == "Bearer secret-1"
