"""What the scripted model can be told to do: checked, and replaced as a whole while it runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from headrace_agents.scripted_model.spoilt import ANSWERS

_MAX_LATENCY_MS = 600_000.0

_Milliseconds = Annotated[float, Field(ge=0, le=_MAX_LATENCY_MS)]
_Rate = Annotated[float, Field(ge=0, le=1)]


class _Closed(BaseModel):
    # Strict: "200" or true for a number is a mistake in the caller's script, not a number.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class LatencySpread(_Closed):
    """A log-normal latency, in milliseconds, given by the two figures that people know of a model."""

    p50: float = Field(gt=0, le=_MAX_LATENCY_MS)
    p99: float = Field(gt=0, le=_MAX_LATENCY_MS)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.p99 < self.p50:
            raise ValueError(f"p99 ({self.p99:g}) is below p50 ({self.p50:g})")
        return self


class RateLimit(_Closed):
    """Requests a second; a full second's worth may come at once. What is above gets 429, without delay."""

    per_second: float = Field(gt=0)
    retry_after: Literal["seconds", "date"] = "seconds"
    """Form of the ``Retry-After`` header. Both are rounded up to whole seconds, as HTTP has it."""


class Tokens(_Closed):
    """Token counts to report in place of the number of words."""

    prompt: int | None = Field(default=None, ge=0)
    completion: int | None = Field(default=None, ge=0)


def _latency_form(given: Any) -> str:
    return "spread" if isinstance(given, (dict, LatencySpread)) else "fixed"


class Settings(_Closed):
    """Everything settable. What is left out has its default, also in ``PUT /settings``."""

    seed: int = 0
    """Part of every draw: another seed gives other faults and latencies."""
    latency_ms: Annotated[
        Annotated[_Milliseconds, Tag("fixed")] | Annotated[LatencySpread, Tag("spread")],
        Discriminator(_latency_form),
    ] = 0.0
    """From a request's arrival to its answer: one number, or ``{"p50": ..., "p99": ...}``."""
    error_rate: _Rate = 0.0
    """Share of calls answered 500 or 503 (half each), after the latency."""
    hang_rate: _Rate = 0.0
    """Share of calls never answered; they end when the client goes away."""
    malformed_rate: _Rate = 0.0
    """Share of calls answered 200 whose content (or tool arguments) is no JSON."""
    garbled_rate: _Rate = 0.0
    """Share of calls answered 200 with a page of HTML."""
    declined_rate: _Rate = 0.0
    """Share of chats that the model itself declines: 200 with a ``refusal`` in place of an answer."""
    spoilt: str | None = None
    """Each call gets this answer of :mod:`~headrace_agents.scripted_model.spoilt`; ``in_turn``: each key the
    next of those that do not hang."""
    rate_limit: RateLimit | None = None
    api_key: str | None = None
    """Calls without it as their bearer token get 401; left out, every call is let in."""
    context_tokens: Annotated[int, Field(gt=0)] | None = None
    """A longer prompt (of that many words, unless ``tokens`` says otherwise) gets 400."""
    banned_words: tuple[str, ...] = ()
    """A prompt with one of them gets 400, as from a filter of content."""
    refused_for_s: Annotated[int, Field(ge=0)] | None = None
    """Every call gets 429, without delay, with this ``Retry-After``; nothing is refused for it by default."""
    capacity: Annotated[int, Field(gt=0)] | None = None
    """Calls that are worked on at once. Others wait, in order, and their latency begins after that."""
    tokens: Tokens = Tokens()

    @field_validator("spoilt")
    @classmethod
    def _known(cls, given: str | None) -> str | None:
        if given not in (None, "in_turn", *ANSWERS):
            raise ValueError("it is neither in_turn nor the name of a spoilt answer")
        return given

    @model_validator(mode="after")
    def _one_fate_each(self) -> Self:
        rates = ("error_rate", "hang_rate", "malformed_rate", "garbled_rate", "declined_rate")
        total = sum(getattr(self, rate) for rate in rates)
        if total > 1 + 1e-9:  # 0.7 + 0.2 + 0.1 is above 1 in floats
            raise ValueError(f"{' + '.join(rates)} is {total:g}, above 1")
        return self


def reasons(error: ValidationError) -> str:
    """One line that names each wrong field, what is allowed and what was given."""
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']} (given: {str(each['input'])[:80]})"
        for each in error.errors(include_url=False, include_context=False)
    )
