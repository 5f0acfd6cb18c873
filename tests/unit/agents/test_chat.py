"""The vocabulary: what is kept of a completion, and what the journal compares."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from headrace_agents.chat import ChatRequest, Completion, Message, ToolCall, ToolSchema, Usage

TEXT = st.text(st.characters(codec=None, exclude_categories=()))  # halves of surrogate pairs too
COUNT = st.integers(min_value=0)
COMPLETIONS = st.builds(
    Completion,
    st.none() | TEXT,
    st.lists(st.builds(ToolCall, TEXT, TEXT, TEXT)).map(tuple),
    st.builds(Usage, COUNT, COUNT),
    st.booleans(),
)


class Answer(BaseModel):
    queue: str


class Other(BaseModel):
    queue: int


CALL = ToolCall("c1", "refund", "{}")
ASKED = ChatRequest((Message("user", "hé"), Message("assistant", "", (CALL,))), "key-1")


@settings(deadline=None)
@given(COMPLETIONS)
def test_a_completion_is_read_back_as_it_was(completion: Completion) -> None:
    assert Completion.decode(completion.encode()) == completion


def test_inputs_are_these_bytes_in_every_process() -> None:
    tool = ToolSchema("t", "T.", {"type": "object", "properties": {}})
    request = replace(ASKED, answer_type=Answer, tools=(tool,), temperature=0.5, max_output_tokens=9)

    assert request.inputs() == (
        rb'[[["user","h\u00e9",[],null],["assistant","",[["c1","refund","{}"]],null]],'
        rb'"[\"Answer\",{\"properties\":{\"queue\":{\"title\":\"Queue\",\"type\":\"string\"}},'
        rb'\"required\":[\"queue\"],\"title\":\"Answer\",\"type\":\"object\"}]",'
        rb'["[\"t\",\"T.\",{\"properties\":{},\"type\":\"object\"}]"],0.5,9]'
    )


def test_the_idempotency_key_is_no_input() -> None:
    assert replace(ASKED, idempotency_key="key-2").inputs() == ASKED.inputs()


@pytest.mark.parametrize(
    "change",
    [
        {"messages": ASKED.messages[:1]},
        {"messages": (ASKED.messages[0], Message("assistant", "", (replace(CALL, arguments="[]"),)))},
        {"messages": (*ASKED.messages, Message("tool", "", tool_call_id="c1"))},
        {"answer_type": Answer},
        {"tools": (ToolSchema("t", "", {}),)},
        {"temperature": 0.0},
        {"max_output_tokens": 9},
    ],
    ids=str,
)
def test_whatever_else_differs_makes_other_inputs(change: dict[str, Any]) -> None:
    assert replace(ASKED, **change).inputs() != ASKED.inputs()


def test_another_structure_makes_other_inputs() -> None:
    assert replace(ASKED, answer_type=Answer).inputs() != replace(ASKED, answer_type=Other).inputs()


def test_usage_adds_up() -> None:
    assert (Usage(1, 2) + Usage(3, 4), Usage(1, 2).total_tokens) == (Usage(4, 6), 3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"role": "tool", "content": ""}, "tool_call_id"),
        ({"role": "user", "content": "", "tool_call_id": "c1"}, "tool_call_id"),
        ({"role": "user", "content": "", "tool_calls": (CALL,)}, "the assistant's, not the user's"),
    ],
)
def test_a_message_has_only_what_belongs_to_its_role(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Message(**fields)
