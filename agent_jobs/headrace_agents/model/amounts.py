"""What calls to a model take: tokens, and money at the declared prices.

Money is counted in whole picodollars: a price in micro-dollars per million tokens is one in picodollars per
token, so nothing is rounded before it is shown.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from headrace_agents.chat import ChatRequest, Usage, answer_schema
from headrace_agents.embedding import EmbeddingRequest
from headrace_agents.spec import ChatEndpointSpec, EmbeddingSpec, PricesSpec

PICODOLLARS_PER_MICRODOLLAR = 1_000_000
PICODOLLARS_PER_DOLLAR = 1_000_000 * PICODOLLARS_PER_MICRODOLLAR
MESSAGE_TOKENS = 16
"""At most, what an endpoint's template puts around one message, and around the answer: OpenAI's own counting
guide has 3 a message and 3 for the answer, open models' templates up to about ten."""


@dataclass(frozen=True, slots=True)
class Amount:
    """Of tokens, input and output together, and of money."""

    tokens: int = 0
    picodollars: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.tokens + other.tokens, self.picodollars + other.picodollars)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.tokens - other.tokens, self.picodollars - other.picodollars)

    def covers(self, other: Amount) -> bool:
        return self.tokens >= other.tokens and self.picodollars >= other.picodollars

    def at_most(self, other: Amount) -> Amount:
        return Amount(min(self.tokens, other.tokens), min(self.picodollars, other.picodollars))

    def at_least(self, other: Amount) -> Amount:
        return Amount(max(self.tokens, other.tokens), max(self.picodollars, other.picodollars))


NOTHING = Amount()


def amount_of(usage: Usage, prices: PricesSpec | None) -> Amount:
    """Without prices a call costs no money."""
    return Amount(usage.total_tokens, 0 if prices is None else _cost(usage, prices))


def most_of(request: ChatRequest, spec: ChatEndpointSpec) -> Amount:
    """What one call can take at most. A tokenizer that falls back to bytes, as all in use do, makes no more
    tokens than the text has bytes in UTF-8; the answer is bound by what the call may put out.
    """
    output = spec.max_output_tokens or 0
    if request.max_output_tokens is not None:
        output = min(output, request.max_output_tokens) if output else request.max_output_tokens
    return amount_of(Usage(_input_bound(request), output), spec.prices)


def most_of_texts(request: EmbeddingRequest, spec: EmbeddingSpec) -> Amount:
    """As :func:`most_of`; nothing is put out that would be billed."""
    tokens = sum(MESSAGE_TOKENS + _bytes(text) for text in request.texts)
    return amount_of(Usage(tokens), spec.prices)


def _cost(usage: Usage, prices: PricesSpec) -> int:
    """Picodollars."""
    return usage.input_tokens * prices.input_microdollars + usage.output_tokens * prices.output_microdollars


def _input_bound(request: ChatRequest) -> int:
    tokens = MESSAGE_TOKENS * (len(request.messages) + 1)
    for message in request.messages:
        tokens += _bytes(message.content)
        tokens += sum(_bytes(f"{call.id}{call.name}{call.arguments}") for call in message.tool_calls)
    tokens += sum(_bytes(tool.canonical) for tool in request.tools)
    if request.answer_type is not None:
        tokens += _bytes(json.dumps(answer_schema(request.answer_type)))
    return tokens


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
