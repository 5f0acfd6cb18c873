"""Chat models on Amazon Bedrock by its Converse interface, which is one for all of them.

A structured answer is asked for as a tool that must be called
(``docs/decisions/0030-an-answer-of-bedrock-is-a-tools-call.md``). Whether it fits is not looked at here.
Shapes are those of https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from headrace_agents.chat import (
    ChatRequest,
    Completion,
    Message,
    ModelError,
    ModelErrorKind,
    ToolCall,
    Usage,
    answer_schema,
)
from headrace_agents.model.bedrock_client import BedrockClient
from headrace_agents.model.told import tokens
from headrace_agents.spec import EndpointSpec

IDEMPOTENCY_KEY = "idempotency-key"
"""In the request's metadata, which Bedrock writes to its log of invocations: it has no place for a key that
it would look at."""
_ANSWER = "headrace_answer"
"""The tool whose arguments are the answer."""
_CUT_OFF = "max_tokens"
_STOPPED: dict[str, ModelErrorKind] = {
    "content_filtered": "refused",
    "guardrail_intervened": "refused",
    "refusal": "refused",
    "malformed_model_output": "malformed",
    "malformed_tool_use": "malformed",
    "model_context_window_exceeded": "too_long",
}
"""Reasons to stop that leave no answer."""


class BedrockProvider:
    """A :class:`ChatModel` that asks once. Make it on the event loop that uses it."""

    def __init__(self, spec: EndpointSpec) -> None:
        self._name, self._client = spec.name, BedrockClient(spec)

    async def complete(self, request: ChatRequest) -> Completion:
        asked = _asked(self._name, request)
        sent = await self._client.made(lambda client: client.converse(**asked))
        return _completion(sent)

    async def close(self) -> None:
        await self._client.close()


def _asked(model: str, request: ChatRequest) -> dict[str, Any]:
    """What is not asked for is not in it: models differ in what they take."""
    asked: dict[str, Any] = {
        "modelId": model,
        "messages": _turns(request.messages),
        "requestMetadata": {IDEMPOTENCY_KEY: request.idempotency_key},
    }
    if system := [_text(each) for each in request.messages if each.role == "system"]:
        asked["system"] = system
    inference = {"temperature": request.temperature, "maxTokens": request.max_output_tokens}
    if given := {name: value for name, value in inference.items() if value is not None}:
        asked["inferenceConfig"] = given
    if tools := _tools(request):
        asked["toolConfig"] = {"tools": tools}
        if request.answer_type is not None:
            asked["toolConfig"]["toolChoice"] = {"any": {}}
    return asked


def _tools(request: ChatRequest) -> list[dict[str, Any]]:
    tools = [_tool(tool.name, tool.description, tool.parameters) for tool in request.tools]
    if request.answer_type is not None:
        tools.append(_tool(_ANSWER, "Gives the answer.", answer_schema(request.answer_type)))
    if tools:
        return tools
    # Where tools were called before, Bedrock refuses a request that names none.
    called = dict.fromkeys(call.name for message in request.messages for call in message.tool_calls)
    return [_tool(name, "", {"type": "object"}) for name in called]


def _tool(name: str, description: str, parameters: Any) -> dict[str, Any]:
    described = {"description": description} if description else {}
    return {"toolSpec": {"name": name, **described, "inputSchema": {"json": parameters}}}


def _turns(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """User and assistant by turns: results of tools are the user's, all of one turn in one message."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = [] if message.role == "system" else _blocks(message)
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: Message) -> list[dict[str, Any]]:
    """A blank text is refused, so it is left out."""
    text = [_text(message)] if message.content.strip() else []
    if message.tool_call_id is not None:
        return [{"toolResult": {"toolUseId": message.tool_call_id, "content": text}}]
    return text + [
        {"toolUse": {"toolUseId": call.id, "name": call.name, "input": _object(call.arguments)}}
        for call in message.tool_calls
    ]


def _text(message: Message) -> dict[str, Any]:
    return {"text": message.content}


def _object(arguments: str) -> Any:
    """Another provider's model may have written what is no JSON object, and Bedrock takes nothing else."""
    try:
        parsed = json.loads(arguments)
    except ValueError:
        parsed = None
    return parsed if isinstance(parsed, dict) else {"arguments": arguments}


def _completion(sent: Any) -> Completion:
    """``sent`` is what came, so its parts may be of any type or missing."""
    try:
        reason = sent["stopReason"]
        blocks = sent["output"]["message"]["content"]
        text = "".join(block["text"] for block in blocks if "text" in block)
        calls = [block["toolUse"] for block in blocks if "toolUse" in block]
        wanted = [
            ToolCall(call["toolUseId"], call["name"], json.dumps(call["input"]))
            for call in calls
            if call["name"] != _ANSWER
        ]
        answers = [json.dumps(call["input"]) for call in calls if call["name"] == _ANSWER]
        usage = Usage(tokens(sent["usage"]["inputTokens"]), tokens(sent["usage"]["outputTokens"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError("malformed", "not an answer of Converse", taken="unknown") from error
    if kind := _STOPPED.get(reason):
        raise ModelError(kind, f"stopped: {reason}", taken=usage)
    if not text and not calls:
        raise ModelError("malformed", "the answer has neither text nor calls of tools", taken=usage)
    # An answer beside calls of tools came before their results: the model is asked again with those.
    said = answers[0] if answers and not wanted else text
    return Completion(said or None, tuple(wanted), usage, reason == _CUT_OFF)
