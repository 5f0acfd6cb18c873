"""The model client: attempts, pauses and errors, over a transport that never leaves the process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel

from headrace_agents.chat import ChatRequest, Message, ModelError, Reply
from headrace_agents.model import OpenAiModel
from headrace_agents.spec import ModelSpec

SPEC = ModelSpec(endpoint="http://model.test/v1", name="m", timeout_ms=200, max_attempts=3, max_concurrency=2)


class Answer(BaseModel):
    queue: str


REQUEST = ChatRequest((Message("user", "hello"),), "key-1", Answer)
GOOD = '{"queue": "general"}'


def completion(text: Any) -> httpx2.Response:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
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
    """What would have been slept between attempts."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("headrace_agents.model.asyncio.sleep", sleep)
    return slept


def ask(
    endpoint: Callable[[httpx2.Request], Any], spec: ModelSpec = SPEC, request: ChatRequest = REQUEST
) -> Reply[str | BaseModel]:
    async def run() -> Reply[str | BaseModel]:
        client = OpenAiModel(spec, httpx2.AsyncClient(transport=httpx2.MockTransport(endpoint)))
        try:
            return await client.complete(request)
        finally:
            await client.close()

    return asyncio.run(run())


def test_a_structured_answer_is_parsed_and_its_tokens_are_kept() -> None:
    endpoint = Endpoint(completion(GOOD))

    reply = ask(endpoint)

    assert reply.content == Answer(queue="general")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (3, 2)
    (request,) = endpoint.requests
    assert request.headers["Idempotency-Key"] == "key-1"
    body = json.loads(request.content)
    assert body["response_format"]["json_schema"]["schema"]["properties"].keys() == {"queue"}


def test_without_a_structure_the_answer_is_text() -> None:
    reply = ask(Endpoint(completion("hi")), request=ChatRequest((Message("user", "hello"),), "key-1"))

    assert reply.content == "hi"


@pytest.mark.parametrize(
    ("answer", "kind", "attempts"),
    [
        (httpx2.Response(429), "rate_limited", 3),
        (httpx2.Response(503), "unavailable", 3),
        (httpx2.ConnectError("refused"), "unavailable", 3),
        (httpx2.ReadTimeout("slow"), "timeout", 3),
        (httpx2.Response(401, json={"error": {"message": "who are you"}}), "refused", 1),
        (httpx2.Response(200, text="<html>"), "malformed", 3),
        (httpx2.Response(200, json={"choices": []}), "malformed", 3),
        (httpx2.Response(200, json=[]), "malformed", 3),
        (completion("{"), "malformed", 3),
        (completion('{"other": 1}'), "malformed", 3),
        (completion(None), "malformed", 3),
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
    endpoint = Endpoint(httpx2.Response(500), completion("not json"), completion(GOOD))

    assert ask(endpoint).content == Answer(queue="general")
    assert {request.headers["Idempotency-Key"] for request in endpoint.requests} == {"key-1"}
    assert all(0 <= pause <= 0.5 for pause in pauses)


def test_retry_after_is_waited_for(pauses: list[float]) -> None:
    ask(Endpoint(httpx2.Response(429, headers={"Retry-After": "7"}), completion(GOOD)))

    assert 7 <= pauses[0] <= 7.25


def test_no_more_calls_at_once_than_allowed() -> None:
    now = most = 0

    async def answer(request: httpx2.Request) -> httpx2.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.005)
        now -= 1
        return completion(GOOD)

    async def run() -> None:
        client = OpenAiModel(SPEC, httpx2.AsyncClient(transport=httpx2.MockTransport(answer)))
        await asyncio.gather(*(client.complete(REQUEST) for _ in range(10)))
        await client.close()

    asyncio.run(run())

    assert most == SPEC.max_concurrency


def test_the_key_comes_from_its_file_and_nowhere_else(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("secret-1\n")
    endpoint = Endpoint(completion(GOOD))

    ask(endpoint, SPEC.model_copy(update={"api_key_file": str(file)}))

    assert endpoint.requests[0].headers["Authorization"] == "Bearer secret-1"
