"""Over a hundred answers that no model should give, over real HTTP, through client, runs and operator.

Each event ends as is said of its answer: nothing else is raised, and the operator goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import anyio
import httpx2
import pytest
from anyio.from_thread import start_blocking_portal
from pydantic_core import to_json

from headrace_agents.agent import prepare
from headrace_agents.chat import ChatRequest, Completion, Message, ModelErrorKind
from headrace_agents.consequences import ALONE, KINDS, Consequences
from headrace_agents.loop import RunLoop
from headrace_agents.model.concurrency import Concurrency
from headrace_agents.model.endpoint import Endpoint
from headrace_agents.model.openai_provider import OpenAiProvider
from headrace_agents.operator import AgentOperator, memory_format
from headrace_agents.records import InputRecord, Outcome, OutputRecord, Position
from headrace_agents.runs import AgentRuns
from headrace_agents.scripted_model import Settings, serving
from headrace_agents.scripted_model.spoilt import ANSWERS
from headrace_agents.spec import ModelSpec
from headrace_agents.testing import DEFAULT_LIMITS, DictState, in_memory_spec
from support_triage.agent import SupportTriage

TABLE = "public.tickets"
LIMITS = DEFAULT_LIMITS.model_copy(update={"run_deadline_ms": 30_000})
ESCALATED: frozenset[ModelErrorKind] = frozenset({"malformed", "refused"})
ON_FAILURE: Consequences = {kind: "escalate" if kind in ESCALATED else ALONE[kind] for kind in KINDS}


def model_at(url: str) -> ModelSpec:
    return ModelSpec(
        endpoint=url,
        name="scripted-triage",
        timeout_ms=1000,
        max_attempts=1,
        max_concurrency=4,
        on_failure=dict(ON_FAILURE),
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("model") / "calls.jsonl"
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(Settings(), log)) as url,
    ):
        yield url


class Forgetful:
    """One provider, whose endpoint's layer is new for each call: no answer is held back for those before."""

    def __init__(self, url: str) -> None:
        self._spec = model_at(url)
        self._provider = OpenAiProvider(self._spec)

    async def complete(self, request: ChatRequest) -> Completion:
        return await Endpoint(self._spec, self._provider).complete(request)

    async def close(self) -> None:
        await self._provider.close()


class Subtask:
    """The operator with its loop in a thread, and state in memory."""

    def __init__(self, url: str) -> None:
        agent = prepare(SupportTriage, {})
        spec = in_memory_spec(agent, ("customer_id",), LIMITS, "none").model_copy(
            update={"model": model_at(url)}
        )
        runs = AgentRuns(spec, agent, memory_format(spec, agent), clock=now_ms)
        self._runner = RunLoop(runs, lambda: Forgetful(url), concurrency=Concurrency(4, 4))
        self._operator = AgentOperator(
            spec, agent, self._runner, clock=now_ms, bundle_events=1, select=lambda _: None
        )
        self._state, self._timers = DictState({}), set[int]()

    def decide(self, ticket: int) -> list[OutputRecord]:
        """The records of one event."""
        row = {"id": ticket, "customer_id": ticket}
        source = {"schema": "public", "table": "tickets", "ts_ms": 1}
        value = to_json({"before": None, "after": row, "source": source, "op": "c"})
        event = InputRecord(Position(TABLE, 0, ticket), 1, to_json({"customer_id": ticket}), value)
        outputs = list(self._operator.process(0, event, self._state, self._timers.add))
        self._operator.end_bundle(self._state)
        self._runner.wait(60)
        while self._operator.figures.inbox_events:
            timer = min(self._timers)
            self._timers.remove(timer)
            outputs += self._operator.on_timer(0, timer, self._state, self._timers.add)
            self._operator.end_bundle(self._state)
        return outputs

    def close(self) -> None:
        self._operator.close()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture(scope="module")
def control(model: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=model.removesuffix("/v1")) as client:
        yield client


@pytest.fixture(scope="module")
def subtask(model: str) -> Iterator[Subtask]:
    made = Subtask(model)
    yield made
    made.close()


def test_there_are_more_than_a_hundred_of_them() -> None:
    assert len(ANSWERS) > 100


@pytest.mark.parametrize("name", ANSWERS, ids=range(len(ANSWERS)))
def test_an_event_ends_as_its_spoilt_answer_says(name: str, control: httpx2.Client, subtask: Subtask) -> None:
    ends, number = ANSWERS[name].ends, list(ANSWERS).index(name)
    control.put("/settings", json={"spoilt": name}).raise_for_status()

    outputs = subtask.decide(number)

    (ended,) = [each for each in outputs if each.topic == "outcomes"]
    outcome = Outcome.model_validate_json(ended.value or b"")
    letters = [each for each in outputs if each.topic == "dead-letters"]
    if ends == "answered":
        assert (outcome.status, letters) == ("decided", []), name
        return
    (letter,) = letters
    detail = letter.headers["headrace.detail"].decode()
    assert outcome.status == "dead_lettered", name
    if ends == "loop_limit":
        assert outcome.reason == "loop_limit", (name, detail)
    else:
        assert (outcome.reason, detail.partition(":")[0]) == ("model_error", ends), (name, detail)
    assert len([each for each in outputs if each.topic == "reviews"]) == (ends in ESCALATED)


def test_what_an_endpoint_counts_fits_the_64_bits_of_a_metric(model: str, control: httpx2.Client) -> None:
    """Flink's metrics take no more, and one that does not fit ends the job."""
    control.put("/settings", json={"spoilt": "usage: enormous"}).raise_for_status()

    async def asked() -> Completion:
        provider = OpenAiProvider(model_at(model))
        try:
            return await provider.complete(ChatRequest((Message("user", "a question"),), "key"))
        finally:
            await provider.close()

    million_calls = anyio.run(asked).usage.total_tokens * 1_000_000
    assert 0 < million_calls < 2**63
