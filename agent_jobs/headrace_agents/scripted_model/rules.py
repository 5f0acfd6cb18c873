"""The rules that answer: pure functions of the request."""

from __future__ import annotations

import json
import re

from headrace_agents.scripted_model.schema_instance import UnsupportedSchemaError, instance
from headrace_agents.scripted_model.wire import ChatRequest, Function, RefusedError, Reply, ToolChoice


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9]+", text.lower()))


_URGENCY = {
    "high": _words(
        "asap breach breached critical down emergency fraud hacked immediately outage stolen urgent urgently"
    ),
    "low": _words("curious feature feedback idea minor question someday suggestion thanks typo wondering"),
}
_QUEUE = {
    "billing": _words(
        "bill billed billing card charge charged invoice invoices paid payment payments price refund"
    ),
    "technical": _words(
        "api broken bug crash crashes down error errors exception failed failing fails outage slow timeout"
    ),
    "account": _words("account email hacked locked login mfa password profile signin stolen username"),
}


def triage(text: str) -> dict[str, str]:
    """``urgency`` (low, normal, high), ``queue`` (billing, technical, account, general) and ``reason``.

    The first urgency any of whose words occurs, high before low; the queue with the most distinct words, the
    first of them when they are level.
    """
    words = _words(text)
    urgency = next((name for name, marks in _URGENCY.items() if marks & words), "normal")
    queue = max(_QUEUE, key=lambda name: len(_QUEUE[name] & words))
    if not _QUEUE[queue] & words:
        queue = "general"
    seen = words & (_URGENCY.get(urgency, frozenset()) | _QUEUE.get(queue, frozenset()))
    return {"urgency": urgency, "queue": queue, "reason": f"words: {', '.join(sorted(seen)) or 'none known'}"}


def reply(chat: ChatRequest) -> Reply:
    """The answer to ``chat``.

    Raises:
        RefusedError: 400, for a schema that the scripted model can't fulfil or a tool that was not given.
    """
    question, _ = _question(chat)
    found = triage(question)
    if (tool := _tool_asked_for(chat)) is not None:
        return Reply(_fitting(tool.parameters, found), tool=tool.name)
    match chat.response_format.type:
        case "json_schema":
            return Reply(_fitting(chat.response_format.json_schema.definition, found))
        case "json_object":
            return Reply(json.dumps({name: found[name] for name in ("urgency", "queue")}))
        case "text":
            return Reply(f"Scripted answer, by rules: urgency {found['urgency']}, queue {found['queue']}.")


def broken(answer: Reply) -> Reply:
    """The answer as models spoil it: cut short and in a code fence, with which no JSON starts."""
    return Reply("```json\n" + answer.text[: len(answer.text) // 2], tool=answer.tool)


def declined() -> Reply:
    """What the model says where it does not answer."""
    return Reply("The scripted model declines.", declined=True)


def _question(chat: ChatRequest) -> tuple[str, int]:
    """Text of the last user's message that asks something, and how many tools have been called since.

    A message that follows an answer that should be JSON and is not only says so: it asks nothing.
    """
    results = 0
    for index in range(len(chat.messages) - 1, -1, -1):
        message = chat.messages[index]
        if message.role == "tool":
            results += 1
        elif message.role == "user" and not _follows_broken_json(chat, index):
            return message.text, results
    return "", results


def _follows_broken_json(chat: ChatRequest, index: int) -> bool:
    if index == 0 or chat.response_format.type == "text" or chat.messages[index - 1].role != "assistant":
        return False
    try:
        json.loads(chat.messages[index - 1].text)
    except (ValueError, RecursionError):
        return True
    return False


def _tool_asked_for(chat: ChatRequest) -> Function | None:
    """The tool that must be called, or the next one that the question names; after all of them, none."""
    given = {tool.function.name: tool.function for tool in chat.tools}
    if isinstance(chat.tool_choice, ToolChoice):
        name = chat.tool_choice.function.name
        if name not in given:
            raise RefusedError(
                400, f"tool_choice names {name!r}, which is not in tools: {', '.join(given) or 'none'}"
            )
        return given[name]
    if chat.tool_choice == "required" and not given:
        raise RefusedError(400, "tool_choice is 'required' and there are no tools")
    question, called = _question(chat)
    named = sorted((name for name in given if name in question), key=question.index)
    if chat.tool_choice == "required":
        return given[named[0]] if named else chat.tools[0].function
    # After the tools' results comes the answer: otherwise the same words would call them for ever.
    if chat.tool_choice == "none" or called >= len(named):
        return None
    return given[named[called]]


def _fitting(schema: dict[str, object], found: dict[str, str]) -> str:
    try:
        return json.dumps(instance(schema, found))
    except UnsupportedSchemaError as unsupported:
        raise RefusedError(400, f"JSON schema {unsupported}", code="unsupported_schema") from None
