"""What is told of a run: its steps with times and costs, and nothing of what was said unless it is wanted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from headrace_agents import Agent, Change, Context, ModelError, on
from headrace_agents.agent import prepare
from headrace_agents.chat import ChatModel, ChatRequest, Completion, ToolCall, Usage
from headrace_agents.consequences import ALONE
from headrace_agents.embedding import EmbeddingModel, EmbeddingRequest, Embeddings
from headrace_agents.events import EventReader
from headrace_agents.model.cache import Cached, ResponseCache
from headrace_agents.model.endpoint import EmbeddingEndpoint, Endpoint
from headrace_agents.model.fallback import Chain
from headrace_agents.operator import memory_format
from headrace_agents.records import InputRecord, Position, key_hash
from headrace_agents.run_log import MOST_BYTES, RunLog, StepLog, bounded, run_id
from headrace_agents.runs import AgentRuns, RunRequest, RunResult
from headrace_agents.spec import CacheSpec, EmbeddingSpec, ModelSpec, PricesSpec
from headrace_agents.testing import DEFAULT_LIMITS, AgentTest, in_memory_spec
from tests.unit.agents.worlds import TABLE, Thing, World, created

SPEC = ModelSpec(
    endpoint="http://model.test/v1",
    name="m",
    timeout_ms=1_000,
    max_attempts=3,
    max_concurrency=2,
    prices=PricesSpec(input_microdollars=150_000, output_microdollars=600_000),
)
SECRET = "4000-1234"


class Seen(BaseModel):
    things: int = 0


class Said(BaseModel):
    text: str


class Talker(Agent[Seen, Said]):
    @on(TABLE)
    async def seen(self, ctx: Context[Seen, Said], change: Change[Thing]) -> None:
        async def look(number: str) -> str:
            """Looks a card up."""
            return await ctx.step("bank", str, number)

        reply = await ctx.model(f"card {SECRET}", tools=[look])
        ctx.emit(Said(text=reply.content))


class Provider:
    """Calls the tool, then answers; the first attempt of all is refused."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def complete(self, request: ChatRequest) -> Completion:
        self.heard += [message.content for message in request.messages]
        if len(self.heard) == 1:
            raise ModelError("overloaded", "503")
        if request.messages[-1].role == "tool":
            return Completion(f"done with {request.messages[0].content}", usage=Usage(20, 10))
        return Completion(None, (ToolCall("1", "look", f'{{"number": "{SECRET}"}}'),), Usage(10, 5))

    async def close(self) -> None:
        pass


class CutOffTalker(Talker):
    @on(TABLE)
    async def seen(self, ctx: Context[Seen, Said], change: Change[Thing]) -> None:
        def look(number: str) -> str:
            """Looks a card up."""
            return number

        await ctx.model("\ud83d", tools=[look])


def result_of(
    agent: type[Agent[Any, Any, Any]], provider: Provider, monkeypatch: pytest.MonkeyPatch, **runtime: Any
) -> RunResult:
    monkeypatch.setattr("headrace_agents.model.endpoint._pause_s", lambda *_: 0.0)

    async def run() -> RunResult:
        return await run_of(agent, Endpoint(SPEC, provider), **runtime)

    return asyncio.run(run())


async def run_of(
    agent: type[Agent[Any, Any, Any]],
    model: ChatModel | None,
    embedding: EmbeddingModel | None = None,
    **runtime: Any,
) -> RunResult:
    loaded = prepare(agent, {})
    spec = in_memory_spec(loaded, ("key",), DEFAULT_LIMITS, "none")
    spec = spec.model_copy(update={"runtime": spec.runtime.model_copy(update=runtime)})
    record: InputRecord = created(0, 1)
    work = EventReader(spec, loaded).read(record).work
    assert work is not None
    request = RunRequest(0, b"[1]", record.key or b"", record.position, record.position, None, 1, work, None)
    times = iter(range(100, 1_000))
    runs = AgentRuns(spec, loaded, memory_format(spec, loaded), clock=lambda: next(times))
    return await runs.run(request, runs.attempt(request), model, embedding)


def test_steps_are_told_with_times_attempts_and_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    result = result_of(Talker, Provider(), monkeypatch)

    assert result.rejected is None
    names = [(step.name, step.kind) for step in result.steps]
    assert names == [
        ("model#0", "model"),
        ("tool:look#0/bank#0", "step"),
        ("tool:look#0", "tool"),
        ("model#1", "model"),
    ]
    first, bank, tool, second = result.steps
    assert (first.attempts, first.model, first.input_tokens, first.output_tokens) == (2, "m", 10, 5)
    assert first.picodollars == 10 * 150_000 + 5 * 600_000
    assert (second.attempts, second.input_tokens) == (1, 20)
    assert tool.started_at_ms < bank.started_at_ms < bank.finished_at_ms < tool.finished_at_ms
    assert result.started_at_ms < first.started_at_ms < result.finished_at_ms


def test_what_was_said_is_not_told_unless_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(**runtime: Any) -> str:
        steps = result_of(Talker, Provider(), monkeypatch, **runtime).steps
        return "".join(step.model_dump_json() for step in steps)

    assert SECRET not in told()
    assert told(run_log="prompts").count(SECRET) >= 2


def test_what_is_redacted_leaves_the_process_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    class Redacting(Agent[Seen, Said]):
        seen = Talker.seen

        def redact(self, text: str) -> str:
            return text.replace(SECRET, "<card>")

    class Recalling(Provider):
        async def complete(self, request: ChatRequest) -> Completion:
            completion = await super().complete(request)
            return completion if completion.text is None else Completion(f"it was {SECRET}")

    provider = Recalling()
    result = result_of(Redacting, provider, monkeypatch, run_log="prompts")

    assert result.rejected is None
    assert provider.heard[0] == "card <card>"
    assert result.steps[-1].answer == "it was <card>"
    assert not any(SECRET in each for each in provider.heard)
    assert SECRET not in "".join(step.model_dump_json() for step in result.steps)


def test_a_failed_step_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    class Down(Provider):
        async def complete(self, request: ChatRequest) -> Completion:
            raise ModelError("overloaded", "503")

    (step,) = result_of(Talker, Down(), monkeypatch).steps
    assert (step.error, step.attempts, step.picodollars) == ("overloaded", SPEC.max_attempts, 0)


def test_a_run_is_told_with_its_outcome_under_an_id_of_its_event() -> None:
    world = World([created(0, 1)])
    world.finish()

    (log,) = logs(world)
    assert log.id == run_id(world.spec.name, Position(TABLE, 0, 0))
    assert (log.status, log.key_hash, log.decisions) == ("decided", key_hash(b"[1]"), 1)
    assert log.event.position == Position(TABLE, 0, 0)


def test_what_a_failure_did_not_repeat_is_told_as_read_back() -> None:
    world = World([created(0, 1, "steps")])
    world.take()
    world.do_steps(0)
    world.pass_time(1_000)
    world.checkpoint()
    world.crash()
    world.finish()

    (log,) = logs(world)
    assert [step.read_back for step in log.steps] == [True, False, False]


def test_none_is_told_where_none_is_declared() -> None:
    world = World([created(0, 1)])
    runtime = world.spec.runtime.model_copy(update={"run_log": "none"})
    world.spec = world.spec.model_copy(update={"runtime": runtime})
    world.checkpoint()
    world.crash()
    world.finish()

    assert len(world.outcomes()) == 1
    assert logs(world) == []


def test_a_log_is_read_as_it_was_written() -> None:
    step = StepLog(name="model#0", kind="model", started_at_ms=1, finished_at_ms=2, attempts=1, model="m")
    agent = AgentTest(Talker, key=("key",), model=lambda _: "x")
    assert agent.create(TABLE, {"id": 1, "key": 1}).outcome.status == "decided"
    assert StepLog.model_validate_json(step.encode()) == step


def test_half_a_character_of_a_model_is_told_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    class CutOff(Provider):
        async def complete(self, request: ChatRequest) -> Completion:
            if request.messages[-1].role == "tool":
                return Completion("done \ud83d", usage=Usage(1, 1))
            return Completion("\ud83d", (ToolCall("1", "look", '{"number": "\ud83d"}'),), Usage(1, 1))

    steps = result_of(CutOffTalker, CutOff(), monkeypatch, run_log="prompts").steps
    assert steps[-1].answer == "done \\ud83d"
    assert [StepLog.model_validate_json(step.encode()) for step in steps] == list(steps)


def test_the_log_of_a_long_chat_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    class Long(Provider):
        async def complete(self, request: ChatRequest) -> Completion:
            completion = await super().complete(request)
            return completion if completion.text is None else Completion("x" * MOST_BYTES)

    result = result_of(Talker, Long(), monkeypatch, run_log="prompts")
    assert (len(result.steps), result.steps_truncated) == (4, True)
    assert sum(len(step.encode()) for step in result.steps) <= MOST_BYTES
    assert not result_of(Talker, Provider(), monkeypatch, run_log="prompts").steps_truncated


def test_early_prompts_are_left_out_first_then_steps_from_the_middle() -> None:
    told = {"kind": "model", "started_at_ms": 1, "finished_at_ms": 2}
    steps = [
        StepLog(name=f"model#{n}", prompt=[{"role": "user", "content": "x" * 1_000}], answer="y", **told)
        for n in range(9)
    ]
    whole, bare = len(steps[0].encode()), len(StepLog(name="model#0", **told).encode())

    assert bounded(steps, 9 * whole) == (tuple(steps), False)
    prompts = [step.prompt is not None for step in bounded(steps, 7 * whole + 2 * bare).steps]
    assert prompts == [False] * 2 + [True] * 7
    few = bounded(steps, 4 * bare)
    assert ([step.name for step in few.steps], few.truncated) == (
        ["model#0", "model#1", "model#7", "model#8"],
        True,
    )
    assert bounded(steps, 1) == ((), True)


def test_a_run_too_long_to_be_told_whole_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace_agents.runs.bounded", lambda steps: bounded(steps, 1))
    world = World([created(0, 1, "steps")])
    world.finish()

    (log,) = logs(world)
    assert (log.steps, log.truncated, log.status) == ((), True, "decided")


def logs(world: World) -> list[RunLog]:
    topic = world.spec.outputs.runs
    return [RunLog.model_validate_json(o.value or b"") for o in world.durable.outputs if o.topic == topic]


def test_the_model_that_answered_is_told_and_whether_it_was_asked_for_this_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Down(Provider):
        async def complete(self, request: ChatRequest) -> Completion:
            raise ModelError("refused", "400", taken=Usage(3, 0))

    class Cheap(Provider):
        async def complete(self, request: ChatRequest) -> Completion:
            return Completion("yes", usage=Usage(10, 5))

    endpoints = [
        Endpoint(SPEC.model_copy(update={"name": name}), provider)
        for name, provider in (("dear", Down()), ("cheap", Cheap()))
    ]
    cache = ResponseCache(CacheSpec(entries=9, expiry_ms=60_000))
    models = [
        Cached(SPEC.model_copy(update={"name": each}), model, cache)
        for each, model in zip(("dear", "cheap"), endpoints, strict=True)
    ]
    model = Chain(models, {**ALONE, "refused": "fall_back"})

    async def both() -> list[StepLog]:
        return [(await run_of(Talker, model)).steps[0] for _ in range(2)]

    made, given = asyncio.run(both())
    assert (made.model, made.cached, made.attempts, made.input_tokens) == ("cheap", False, 2, 13)
    assert (given.model, given.cached, given.output_tokens) == ("cheap", True, 0)


def test_what_vectors_took_is_told() -> None:
    class Embedder(Agent[Seen, Said]):
        @on(TABLE)
        async def seen(self, ctx: Context[Seen, Said], change: Change[Thing]) -> None:
            await ctx.embed(["a"])

    class Vectors:
        most_texts = 1

        async def embed(self, request: EmbeddingRequest) -> Embeddings:
            return Embeddings.of([[1.0]], Usage(7))

        async def close(self) -> None: ...

    spec = EmbeddingSpec(
        endpoint="http://model.test/v1", name="e", timeout_ms=1_000, max_attempts=1, max_concurrency=1
    )
    (step,) = asyncio.run(run_of(Embedder, None, EmbeddingEndpoint(spec, Vectors()))).steps
    assert (step.model, step.attempts, step.input_tokens) == ("e", 1, 7)
