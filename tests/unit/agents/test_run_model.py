"""What an author gets from ``ctx.model``: loops with bounds, repaired answers, a journal to read back."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from pydantic import BaseModel

from headrace_agents import LoopLimitError, Message, ModelError, Reply, RunModel, ToolCall, ToolError, Usage
from headrace_agents.chat import ChatRequest, Completion
from tests.unit.agents.journal import Journal, Script

T = TypeVar("T")


class Answer(BaseModel):
    queue: str


FITS = Completion('{"queue": "billing"}', usage=Usage(10, 2))
DOES_NOT_FIT = Completion('{"queue": 1}', usage=Usage(10, 2))
DONE = Completion("done", usage=Usage(20, 3))


def calls(*called: tuple[str, str]) -> Completion:
    """A turn that calls tools, each by name and arguments, with ids c0, c1, ..."""
    made = tuple(ToolCall(f"c{i}", name, arguments) for i, (name, arguments) in enumerate(called))
    return Completion(None, made, Usage(10, 2))


DOUBLE_4 = calls(("double", '{"number": 4}'))


def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


def told(request: ChatRequest) -> list[str]:
    """What the tools said, as the model was told."""
    return [message.content for message in request.messages if message.role == "tool"]


def test_a_prompt_is_answered_with_text_and_the_whole_chat() -> None:
    script = Script(DONE)

    reply = run(script.model("hello", temperature=0.5))

    asked, answered = Message("user", "hello"), Message("assistant", "done")
    assert reply == Reply("done", Usage(20, 3), 1, (asked, answered))
    assert script.requests == [ChatRequest((asked,), "model/0", temperature=0.5)]


def test_a_chat_goes_on_from_the_messages_of_a_reply() -> None:
    script = Script(DONE)
    model = script.model

    first = run(model("hello"))
    run(model([*first.messages, Message("user", "and now?")]))

    assert [message.content for message in script.requests[1].messages] == ["hello", "done", "and now?"]
    assert [request.idempotency_key for request in script.requests] == ["model/0", "model/1"]
    assert model.calls == 2


def test_a_structured_answer_is_an_instance() -> None:
    script = Script(FITS)

    assert run(script.model("hello", answer=Answer)).content == Answer(queue="billing")
    assert script.requests[0].answer_type is Answer


def test_an_answer_that_does_not_fit_is_sent_back_once() -> None:
    script = Script(DOES_NOT_FIT, FITS)

    reply = run(script.model("hello", answer=Answer))

    assert (reply.content, reply.turns, reply.usage) == (Answer(queue="billing"), 2, Usage(20, 4))
    *_, broken, complaint = script.requests[1].messages
    assert broken == Message("assistant", '{"queue": 1}')
    assert complaint.role == "user"
    assert "queue: Input should be a valid string" in complaint.content


@pytest.mark.parametrize(("bounds", "asked"), [({}, 2), ({"max_turns": 1}, 1), ({"max_tokens": 12}, 1)])
def test_an_answer_that_never_fits_is_malformed(bounds: dict[str, Any], asked: int) -> None:
    script = Script(DOES_NOT_FIT)

    with pytest.raises(ModelError, match="queue: Input should be a valid string") as raised:
        run(script.model("hello", answer=Answer, **bounds))

    assert (raised.value.kind, len(script.requests)) == ("malformed", asked)


def test_tools_are_called_until_there_is_an_answer() -> None:
    script = Script(DOUBLE_4, calls(("double", '{"number": 8}')), FITS)

    reply = run(script.model("hello", tools=[double], answer=Answer))

    assert [told(request) for request in script.requests] == [[], ["8"], ["8", "16"]]
    assert [tool.name for tool in script.requests[0].tools] == ["double"]
    assert (reply.content, reply.turns, reply.usage) == (Answer(queue="billing"), 3, Usage(30, 6))
    roles = [message.role for message in reply.messages]
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "assistant"]


def test_calls_of_one_turn_run_concurrently_and_their_results_keep_the_order() -> None:
    gate = asyncio.Event()
    ended: list[str] = []

    async def slow() -> str:
        await gate.wait()
        ended.append("slow")
        return "s"

    async def fast() -> str:
        gate.set()
        ended.append("fast")
        return "f"

    script = Script(calls(("slow", "{}"), ("fast", "{}"), ("slow", "{}")), DONE)
    run(script.model("hello", tools=[slow, fast]))

    assert ended[0] == "fast"
    results = [message for message in script.requests[1].messages if message.role == "tool"]
    assert [(each.tool_call_id, each.content) for each in results] == [("c0", "s"), ("c1", "f"), ("c2", "s")]


def test_a_tool_that_raises_ends_the_others_and_its_error_passes_through() -> None:
    cancelled: list[bool] = []

    async def hang() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def fail() -> None:
        raise KeyError("gone") from OSError("disk")

    with pytest.raises(KeyError, match="gone") as raised:
        run(Script(calls(("hang", "{}"), ("fail", "{}"))).model("hello", tools=[hang, fail]))

    assert cancelled == [True]
    assert isinstance(raised.value.__cause__, OSError)


def test_what_a_tool_could_not_do_is_told_to_the_model() -> None:
    def fail() -> None:
        raise ToolError("closed today")

    turn = calls(("fail", "{}"), ("double", "{}"), ("undo", "{}"))
    script = Script(turn, DONE)

    run(script.model("hello", tools=[fail, double]))

    assert told(script.requests[1]) == [
        "error: closed today",
        "error: the arguments do not fit: number: Field required",
        "error: there is no tool 'undo', only: fail, double",
    ]


def limit_of(coroutine: Coroutine[Any, Any, Any]) -> LoopLimitError:
    with pytest.raises(LoopLimitError) as raised:
        run(coroutine)
    return raised.value


def test_the_bound_of_turns_is_hit_before_tools_are_called_for_nothing() -> None:
    script = Script(DOUBLE_4)
    journal = Journal()

    limit = limit_of(RunModel(script, journal)("hello", tools=[double], max_turns=3))

    assert (limit.bound, limit.turns, limit.usage) == ("turns", 3, Usage(30, 6))
    assert journal.executed == ["model", "tool:double", "model", "tool:double", "model"]


def test_the_bound_of_tokens_counts_all_turns_and_limits_the_next_one() -> None:
    script = Script(DOUBLE_4)

    limit = limit_of(script.model("hello", tools=[double], max_tokens=30))

    assert (limit.bound, limit.turns, limit.usage) == ("tokens", 3, Usage(30, 6))
    assert [request.max_output_tokens for request in script.requests] == [30, 18, 6]


def test_an_answer_that_arrived_is_given_whatever_it_took() -> None:
    assert run(Script(DONE).model("hello", max_tokens=5)).content == "done"


def test_an_answer_that_was_cut_off_is_none() -> None:
    script = Script(Completion("do", usage=Usage(3, 2), cut_off=True))

    assert limit_of(script.model("hello", max_tokens=5)).bound == "tokens"
    with pytest.raises(ModelError) as raised:
        run(script.model("hello"))
    assert raised.value.kind == "too_long"


def test_the_bound_of_time_ends_a_tool_that_hangs() -> None:
    async def hang() -> None:
        await asyncio.sleep(3600)

    script = Script(calls(("hang", "{}")))

    limit = limit_of(script.model("hello", tools=[hang], timeout=timedelta(milliseconds=5)))

    assert (limit.bound, limit.turns) == ("time", 1)


def test_a_timeout_of_a_tool_is_not_the_bound_of_time() -> None:
    def fail() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        run(Script(calls(("fail", "{}"))).model("hello", tools=[fail], timeout=timedelta(hours=1)))


@pytest.mark.parametrize("bounds", [{"max_turns": 0}, {"max_tokens": 0}])
def test_a_bound_that_lets_nothing_through_is_refused(bounds: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        run(Script(DONE).model("hello", **bounds))


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="two tools are called double"):
        run(Script(DONE).model("hello", tools=[double, double]))


def test_without_a_model_a_call_is_refused() -> None:
    with pytest.raises(ModelError, match="refused: the agent's declaration has no model"):
        run(RunModel(None, Journal())("hello"))


def test_a_run_that_is_run_again_calls_nothing_that_had_finished() -> None:
    journal = Journal()
    effects: list[int] = []

    async def pay(order: int) -> str:
        effects.append(order)
        return f"paid {order}"

    async def handle(model: RunModel) -> Reply[Answer]:
        return await model("hello", tools=[pay], answer=Answer)

    turn = calls(("pay", '{"order": 1}'), ("pay", '{"order": 2}'), ("pay", "{}"))
    script = Script(turn, ModelError("overloaded", "503"))
    with pytest.raises(ModelError):
        run(handle(RunModel(script, journal)))

    recovered = Script(FITS)
    again = Journal(journal.entries)
    model = RunModel(recovered, again)
    reply = run(handle(model))

    assert reply.content == Answer(queue="billing")
    assert effects == [1, 2]
    assert again.executed == ["model"]
    (request,) = recovered.requests
    assert request.idempotency_key == script.requests[1].idempotency_key
    assert told(request)[:2] == ["paid 1", "paid 2"]
    assert model.calls == 2

    finished = Journal(journal.entries)
    assert run(handle(RunModel(Script(DONE), finished))) == reply
    assert finished.executed == []


def test_a_question_that_has_changed_is_asked_anew() -> None:
    journal = Journal()
    run(RunModel(Script(FITS), journal)("hello"))

    again = Journal(journal.entries)
    reply = run(RunModel(Script(DONE), again)("good evening"))

    assert (reply.content, again.executed) == ("done", ["model"])


def test_a_call_has_the_name_of_its_step() -> None:
    journal = Journal()

    run(RunModel(Script(DONE), journal)("hello", name="summary"))

    assert journal.executed == ["summary"]
