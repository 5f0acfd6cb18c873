"""The real server on loopback, called with the real ``openai`` client."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI, DefaultAioHttpClient
from openai.types.chat import ChatCompletion, ChatCompletionMessageFunctionToolCall
from pydantic import BaseModel

from headrace_agents.scripted_model import PortTakenError, Settings, serving

pytestmark = pytest.mark.anyio

REFUND = {
    "type": "function",
    "function": {
        "name": "refund",
        "parameters": {
            "type": "object",
            "properties": {"order": {"type": "integer", "minimum": 1}},
            "required": ["order"],
        },
    },
}


class Model:
    """The served model, as a test sees it."""

    def __init__(self, url: str, log: Path, http: aiohttp.ClientSession) -> None:
        self.log = log
        self.http = http
        self.root = url.removesuffix("/v1")
        self.openai = AsyncOpenAI(
            base_url=url, api_key="secret-key", max_retries=0, timeout=5, http_client=DefaultAioHttpClient()
        )

    async def put(self, **settings: Any) -> None:
        async with self.http.put(f"{self.root}/settings", json=settings) as response:
            assert response.status == 200, await response.text()

    async def calls(self) -> dict[str, Any]:
        async with self.http.get(f"{self.root}/calls") as response:
            counted: dict[str, Any] = await response.json()
            return counted

    async def ask(self, text: str = "hello", key: str | None = None, **options: Any) -> ChatCompletion:
        headers = {"Idempotency-Key": key} if key else {}
        return await self.chat([{"role": "user", "content": text}], extra_headers=headers, **options)

    async def chat(self, messages: list[dict[str, Any]], **options: Any) -> ChatCompletion:
        completion = await self.openai.chat.completions.create(
            model="scripted-triage",
            messages=messages,  # type: ignore[arg-type]  # plain dicts, as JSON would have them
            **options,
        )
        assert isinstance(completion, ChatCompletion)
        return completion

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def model(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Model]:
    log = tmp_path / "calls.jsonl"
    async with (
        serving(Settings(), log) as url,
        aiohttp.ClientSession() as http,
    ):
        served = Model(url, log, http)
        async with served.openai:
            yield served


class Urgency(StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class Triage(BaseModel):
    urgency: Urgency
    queue: str
    reason: str
    confidence: float


def tool_of(completion: ChatCompletion) -> str | None:
    """The one tool that was called, if any."""
    for call in completion.choices[0].message.tool_calls or ():
        assert isinstance(call, ChatCompletionMessageFunctionToolCall)
        return call.function.name
    return None


async def outcome(model: Model, key: str) -> str:
    """The status of one call, and its text when it was answered."""
    try:
        return f"200 {(await model.ask('the api is down', key)).choices[0].message.content}"
    except openai.APIStatusError as error:
        return str(error.status_code)


async def until_finished(model: Model, calls: int) -> None:
    """A call that its client left ends a moment after the client has gone."""
    async with asyncio.timeout(5):
        while (await model.calls())["finished"] < calls:  # noqa: ASYNC110  # the event is another's
            await asyncio.sleep(0.005)


async def test_structured_output_fits_the_callers_schema(model: Model) -> None:
    completion = await model.openai.chat.completions.parse(
        model="scripted-triage",
        messages=[
            {"role": "system", "content": "queues: billing, account"},
            {"role": "user", "content": [{"type": "text", "text": "The API is down, urgent"}]},
        ],
        response_format=Triage,
    )

    assert completion.choices[0].message.parsed == Triage(
        urgency=Urgency.HIGH, queue="technical", reason="words: api, down, urgent", confidence=0
    )


async def test_every_answer_says_that_it_is_scripted(model: Model) -> None:
    raw = await model.openai.chat.completions.with_raw_response.create(
        model="scripted-triage", messages=[{"role": "user", "content": "one two three"}]
    )

    completion = raw.parse()
    assert raw.headers["server"] == "scripted-model"
    assert (completion.model, completion.system_fingerprint) == ("scripted-triage", "scripted")
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 3
    assert [each.id async for each in model.openai.models.list()] == ["scripted-triage"]
    assert (await model.openai.models.retrieve("scripted-triage")).owned_by == "headrace"


async def test_json_object_is_the_triage(model: Model) -> None:
    completion = await model.ask("refund my card", response_format={"type": "json_object"})

    assert json.loads(completion.choices[0].message.content or "") == {
        "urgency": "normal",
        "queue": "billing",
    }


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("please use refund", "auto"),
        ("hello", "required"),
        ("hello", {"type": "function", "function": {"name": "refund"}}),
    ],
)
async def test_a_tool_that_is_asked_for_is_called_with_fitting_arguments(
    model: Model, text: str, choice: Any
) -> None:
    choice_made = (await model.ask(text, tools=[REFUND], tool_choice=choice)).choices[0]

    assert choice_made.finish_reason == "tool_calls"
    (call,) = choice_made.message.tool_calls or []
    assert isinstance(call, ChatCompletionMessageFunctionToolCall)
    assert (call.function.name, json.loads(call.function.arguments)) == ("refund", {"order": 1})


def calling(tool: str) -> list[dict[str, Any]]:
    """A turn of the model that called a tool, and the tool's result."""
    call = {"id": "call_1", "type": "function", "function": {"name": tool, "arguments": "{}"}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
    ]


async def test_tools_are_called_in_the_order_in_which_they_are_named_and_then_comes_the_answer(
    model: Model,
) -> None:
    lookup = {"type": "function", "function": {"name": "lookup"}}
    options: dict[str, Any] = {"tools": [REFUND, lookup], "response_format": {"type": "json_object"}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "please use lookup, then refund"},
    ]

    first = await model.chat(messages, **options)
    second = await model.chat(messages + calling("lookup"), **options)
    third = await model.chat(messages + calling("lookup") + calling("refund"), **options)

    assert [tool_of(each) for each in (first, second, third)] == ["lookup", "refund", None]
    answered = third.choices[0]
    assert answered.finish_reason == "stop"
    assert json.loads(answered.message.content or "")["queue"] == "billing"


async def test_a_new_question_calls_its_tool_again(model: Model) -> None:
    asked = {"role": "user", "content": "please use refund"}
    answered = [{"role": "assistant", "content": "done"}]

    again = await model.chat([asked, *calling("refund"), *answered, asked], tools=[REFUND])

    assert tool_of(again) == "refund"


async def test_a_complaint_about_broken_json_gets_the_answer_to_the_question_before(model: Model) -> None:
    messages = [
        {"role": "user", "content": "please use refund, the api is down"},
        *calling("refund"),
        {"role": "assistant", "content": '```json\n{"urg'},
        {"role": "user", "content": "no JSON: the refund failed"},
    ]

    completion = await model.chat(messages, tools=[REFUND], response_format={"type": "json_object"})

    assert json.loads(completion.choices[0].message.content or "") == {
        "urgency": "high",
        "queue": "technical",
    }


async def test_errors_are_500_and_503(model: Model) -> None:
    await model.put(error_rate=1)

    assert {await outcome(model, f"k{n}") for n in range(12)} == {"500", "503"}


async def test_the_same_seed_key_and_attempt_get_the_same_fate(model: Model) -> None:
    faults: dict[str, Any] = {"error_rate": 0.4, "malformed_rate": 0.3}
    await model.put(**faults)
    first = [await outcome(model, f"k{n}") for n in range(20)]
    retried = [await outcome(model, f"k{n}") for n in range(20)]
    async with model.http.delete(f"{model.root}/calls") as response:
        assert response.status == 204

    again = [await outcome(model, f"k{n}") for n in reversed(range(20))][::-1]
    await model.put(seed=1, **faults)
    async with model.http.delete(f"{model.root}/calls"):
        other_seed = [await outcome(model, f"k{n}") for n in range(20)]

    assert again == first
    assert retried != first
    assert other_seed != first


async def test_retry_after_in_seconds(model: Model) -> None:
    await model.put(rate_limit={"per_second": 0.01})
    await model.ask()

    with pytest.raises(openai.RateLimitError) as limited:
        await model.ask()

    assert limited.value.response.headers["Retry-After"] == "100"
    assert limited.value.code == "rate_limit_exceeded"


async def test_retry_after_as_an_http_date(model: Model) -> None:
    await model.put(rate_limit={"per_second": 0.01, "retry_after": "date"})
    await model.ask()
    before = time.time()

    with pytest.raises(openai.RateLimitError) as limited:
        await model.ask()

    date = limited.value.response.headers["Retry-After"]
    assert date.endswith(" GMT")
    # The wait counts from the first call, a moment before; the date is rounded up to a second.
    assert before + 95 <= parsedate_to_datetime(date).timestamp() <= time.time() + 101


async def test_a_hang_ends_when_the_client_goes_away(model: Model) -> None:
    await model.put(hang_rate=1)

    with pytest.raises(openai.APITimeoutError):
        await model.ask(key="stuck", timeout=0.05)
    await until_finished(model, 1)

    (line,) = model.logged()
    assert (line["outcome"], line["status"], line["prompt_tokens"]) == ("hung", 499, None)
    assert (await model.calls())["in_flight"] == 0


async def test_a_client_that_leaves_before_the_answer_is_logged_as_gone(model: Model) -> None:
    await model.put(latency_ms=60_000)

    with pytest.raises(openai.APITimeoutError):
        await model.ask(timeout=0.05)
    await until_finished(model, 1)

    assert [(line["outcome"], line["status"]) for line in model.logged()] == [("abandoned", 499)]


@pytest.mark.parametrize("options", [{"response_format": {"type": "json_object"}}, {"tools": [REFUND]}])
async def test_malformed_answers_are_200_and_no_json(model: Model, options: dict[str, Any]) -> None:
    await model.put(malformed_rate=1)

    message = (await model.ask("refund", **options)).choices[0].message

    spoilt = message.content
    for call in message.tool_calls or ():
        assert isinstance(call, ChatCompletionMessageFunctionToolCall)
        spoilt = call.function.arguments
    assert spoilt is not None
    with pytest.raises(json.JSONDecodeError):
        json.loads(spoilt)
    assert [line["outcome"] for line in model.logged()] == ["malformed"]


async def test_the_latency_is_kept_and_calls_do_not_wait_for_each_other(model: Model) -> None:
    await model.put(latency_ms=200)

    await asyncio.gather(*(model.ask() for _ in range(10)))

    lines = model.logged()
    assert all(line["latency_ms"] >= 199 for line in lines)
    first_end = min(line["received_at_ms"] + line["latency_ms"] for line in lines)
    assert all(line["received_at_ms"] < first_end for line in lines)


async def test_token_counts_can_be_set(model: Model) -> None:
    await model.put(tokens={"prompt": 1000, "completion": 20})

    usage = (await model.ask()).usage

    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (1000, 20, 1020)


async def test_the_log_has_a_line_a_call_and_never_the_api_key(model: Model) -> None:
    before_ms = int(time.time() * 1000)

    await model.ask("a b", key="k1")
    await model.ask("a b", key="k1")

    first, second = model.logged()
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert before_ms <= first["received_at_ms"] <= second["received_at_ms"]
    assert {
        name: first[name] for name in ("idempotency_key", "model", "outcome", "status", "prompt_tokens")
    } == {
        "idempotency_key": "k1",
        "model": "scripted-triage",
        "outcome": "answered",
        "status": 200,
        "prompt_tokens": 2,
    }
    assert "secret-key" not in model.log.read_text()


async def test_calls_are_counted_by_status_and_key(model: Model) -> None:
    for key in ("paid-once", "paid-twice", "paid-twice", None):
        await model.ask(key=key)
    await model.put(error_rate=1)
    await outcome(model, "paid-once")

    counted = await model.calls()

    assert counted["finished"] == 5
    assert counted["by_status"]["200"] == 4
    assert (counted["keys"], counted["without_key"]) == (2, 1)
    assert counted["repeated_keys"]["most"] == {"paid-once": 2, "paid-twice": 2}
    assert counted["answered_twice"] == {"keys": 1, "surplus_calls": 1, "most": {"paid-twice": 2}}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"latency": 5}, "latency: Extra inputs"),
        ({"latency_ms": -1}, "latency_ms.fixed"),
        ({"latency_ms": "200"}, "latency_ms.fixed"),
        ({"latency_ms": {"p50": 200}}, "latency_ms.spread.p99: Field required"),
        ({"latency_ms": {"p50": 200, "p99": 100}}, "p99 (100) is below p50 (200)"),
        ({"error_rate": 1.5}, "error_rate"),
        ({"error_rate": 0.6, "hang_rate": 0.6}, "is 1.2, above 1"),
        ({"rate_limit": {"per_second": 0}}, "rate_limit.per_second"),
        ({"refused_for_s": -1}, "refused_for_s"),
        ({"capacity": 0}, "capacity"),
        ({"rate_limit": {"per_second": 1, "retry_after": "minutes"}}, "rate_limit.retry_after"),
        ([], "body"),
    ],
)
async def test_wrong_settings_are_refused_by_field_and_change_nothing(
    model: Model, given: Any, named: str
) -> None:
    await model.put(latency_ms=1, seed=3)

    async with model.http.put(f"{model.root}/settings", json=given) as response:
        assert response.status == 400
        assert named in (await response.json())["error"]["message"]

    async with model.http.get(f"{model.root}/settings") as response:
        assert await response.json() == Settings(latency_ms=1, seed=3).model_dump(mode="json")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"stream": True}, "not streamed"),
        ({"n": 2}, "one answer"),
        ({"tools": [REFUND], "tool_choice": {"type": "function", "function": {"name": "gone"}}}, "'gone'"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "s", "schema": {"type": "string", "pattern": "x"}},
                }
            },
            "'pattern'",
        ),
    ],
)
async def test_what_is_not_served_is_refused_with_the_reason(
    model: Model, options: dict[str, Any], named: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=named):
        await model.ask(**options)

    assert [(line["outcome"], line["status"]) for line in model.logged()] == [("refused", 400)]


async def test_another_model_is_not_found(model: Model) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        await model.openai.chat.completions.create(
            model="gpt-9", messages=[{"role": "user", "content": "hello"}]
        )

    assert missing.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/images", b"", 404),
        ("GET", "/v1/embeddings", b"", 405),
        ("GET", "/v1/chat/completions", b"", 405),
        ("POST", "/v1/chat/completions", b"{", 400),
        ("POST", "/v1/chat/completions", b'{"model": "scripted-triage", "messages": []}', 400),
        ("POST", "/v1/chat/completions", b" " * (8 * 1024 * 1024 + 1), 413),
    ],
)
async def test_errors_have_openais_body(
    model: Model, method: str, path: str, body: bytes, status: int
) -> None:
    async with model.http.request(method, model.root + path, data=io.BytesIO(body)) as response:
        assert response.status == status
        assert response.headers["Server"] == "scripted-model"
        assert (await response.json())["error"].keys() == {"message", "type", "param", "code"}


async def test_a_taken_port_is_named(model: Model, tmp_path: Path) -> None:
    port = int(model.root.rpartition(":")[2])

    with pytest.raises(PortTakenError, match=f"port {port} "):
        async with serving(Settings(), tmp_path / "other.jsonl", port):
            pass
