"""What one run of an agent may use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from inspect import isawaitable, isroutine, signature, unwrap
from types import SimpleNamespace
from typing import Any, Generic, get_type_hints, overload

from pydantic import BaseModel, PydanticUserError, TypeAdapter
from pydantic_core import PydanticSerializationError, to_json
from typing_extensions import ParamSpec, TypeVar

from headrace_agents.embedding import Purpose
from headrace_agents.run_embedding import RunEmbedding
from headrace_agents.run_model import RunModel
from headrace_agents.step_protocol import Steps
from headrace_agents.tools import IDEMPOTENCY_KEY

M = TypeVar("M", bound=BaseModel)
D = TypeVar("D", bound=BaseModel)
T = TypeVar("T")
P = ParamSpec("P")

SHORTEST_REMINDER = timedelta(milliseconds=1)
_MOST_FUNCTIONS = 1024
"""Remembered: one that is defined within a handler is another object in every run."""


@dataclass(frozen=True, slots=True)
class SetReminder:
    """A reminder that a run asked for."""

    due_at_ms: int
    payload: BaseModel


class Context(Generic[M, D]):
    """What one run may use. Memory, decisions, reminders and questions take effect together, when the
    run has ended well; what models and steps gave is kept as soon as it is there."""

    def __init__(  # noqa: PLR0913 - what a run has, each by name
        self,
        *,
        memory: M,
        model: RunModel,
        embedding: RunEmbedding,
        steps: Steps,
        key: Mapping[str, Any],
        now_ms: int,
        decision_types: tuple[type[BaseModel], ...],
        reminder_types: Collection[str],
    ) -> None:
        self.memory = memory
        """What the agent remembers for this key; change it in place or replace it."""
        self.model = model
        self.key = key
        """The business key, by field."""
        self._embedding = embedding
        self._steps = steps
        self._now_ms = now_ms
        self._decision_types = decision_types
        self._reminder_types = reminder_types
        self._decisions: list[BaseModel] = []
        self._reminders: list[SetReminder] = []
        self._questions: list[BaseModel] = []

    @property
    def now(self) -> datetime:
        """When the event was accepted, UTC: the same however often the run is run again."""
        return datetime.fromtimestamp(self._now_ms / 1000, UTC)

    def emit(self, decision: D) -> None:
        """Adds a decision. Raises TypeError if it is of no type that the agent's class declares."""
        if not isinstance(decision, self._decision_types):
            names = ", ".join(kind.__name__ for kind in self._decision_types)
            raise TypeError(f"emitted a {type(decision).__name__}; the agent declares {names}")
        self._decisions.append(decision)

    @overload
    async def step(
        self, name: str, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...

    @overload
    async def step(self, name: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    async def step(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Calls a function that has an effect outside, once: its result is journaled.

        After a failure the result is read back where the name and the arguments are the same. Arguments and
        the result must be what JSON can hold (pydantic models, datetimes and the like included); the result
        is given as its annotation says, the same on the first run and on a later one. A function that has a
        parameter ``idempotency_key`` (with a default, for the type checker) gets the step's, to hand on.
        What it raises ends the step, not journaled.

        Raises TypeError for an argument or a result that JSON can't hold, and for annotations that name what
        is not there at run time.
        """
        result_type = _result_type(function)
        inputs = _json(f"step {name!r}: an argument", _ordered([args, kwargs]))
        wants_key = IDEMPOTENCY_KEY not in kwargs and _takes_key(function)

        async def execute(idempotency_key: str) -> bytes:
            given = {**kwargs, IDEMPOTENCY_KEY: idempotency_key} if wants_key else kwargs
            result = function(*args, **given)
            if isawaitable(result):
                result = await result
            return _json(f"step {name!r}: the result", result)

        data = await self._steps.run(name, inputs, execute, kind="step")
        return result_type.validate_json(data)

    async def embed(
        self, texts: Sequence[str], *, purpose: Purpose = "document", name: str = "embed"
    ) -> list[list[float]]:
        """A vector for each text, in their order, from the declaration's `embedding`: numbers of 32 bits.

        ``purpose`` says what they are for, to be found (``document``) or to find with (``query``); models
        that make no such difference do not hear of it. Vectors are a step of the run, or some where the model
        takes fewer texts at once; ``name`` is the step's. No texts give no vectors, and no step.

        Raises:
            ModelError: a call did not succeed, or the declaration has no `embedding`.
            TypeError: one text is given in place of many.
        """
        if isinstance(texts, str):
            raise TypeError("embed takes many texts: [text] for one")
        return await self._embedding.vectors(texts, purpose, name)

    def remind(self, after: timedelta, payload: BaseModel) -> None:
        """Sets a durable timer: ``payload`` comes back as a :class:`Reminder` event of this key.

        Counted from :attr:`now`. Raises ValueError for a time that is not after it, TypeError for a payload
        that no handler of the agent takes.
        """
        if type(payload).__name__ not in self._reminder_types:
            known = ", ".join(self._reminder_types) or "none"
            raise TypeError(
                f"a reminder with a {type(payload).__name__}; those marked with @on_reminder take: {known}"
            )
        if after < SHORTEST_REMINDER:
            raise ValueError(f"a reminder after {after}; it must be at least {SHORTEST_REMINDER} from now")
        self._reminders.append(SetReminder(self._now_ms + after // timedelta(milliseconds=1), payload))

    def escalate(self, question: BaseModel) -> None:
        """Asks a human: the question goes to the review topic, the answer comes back as an
        :class:`Answer` event of this key."""
        self._questions.append(question)

    @property
    def decisions(self) -> tuple[BaseModel, ...]:
        """What was emitted so far."""
        return tuple(self._decisions)

    @property
    def reminders(self) -> tuple[SetReminder, ...]:
        """What was set so far."""
        return tuple(self._reminders)

    @property
    def questions(self) -> tuple[BaseModel, ...]:
        """What was asked so far."""
        return tuple(self._questions)


def _json(what: str, value: Any) -> bytes:
    try:
        return to_json(value)
    except PydanticSerializationError as error:
        raise TypeError(f"{what} can't be kept as JSON: {error}") from error


def _ordered(value: Any) -> Any:
    """The same JSON in every process: a set has another order in each."""
    match value:
        case set() | frozenset():
            return sorted((_ordered(each) for each in value), key=to_json)
        case list() | tuple():
            return [_ordered(each) for each in value]
        case dict():
            return {key: _ordered(each) for key, each in value.items()}
    return value


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """What annotations stand on. A bound method is made anew at each access: never look up by one."""
    while isinstance(function, partial):
        function = function.func
    if not isroutine(function):
        function = type(function).__call__
    return getattr(function, "__func__", function)


def _takes_key(function: Callable[..., Any]) -> bool:
    return _plain_takes_key(_plain(function))


@lru_cache(_MOST_FUNCTIONS)
def _plain_takes_key(function: Callable[..., Any]) -> bool:
    try:
        return IDEMPOTENCY_KEY in signature(function).parameters
    except ValueError:  # of some functions that are written in C nobody knows
        return False


def _result_type(function: Callable[..., Any]) -> TypeAdapter[Any]:
    return _plain_result_type(_plain(function))


@lru_cache(_MOST_FUNCTIONS)
def _plain_result_type(function: Callable[..., Any]) -> TypeAdapter[Any]:
    # Of the parameters nothing is wanted: what their types are called need not be there at run time.
    annotation = getattr(function, "__annotations__", {}).get("return", Any)
    annotated = SimpleNamespace(__annotations__={"return": annotation})
    try:
        return TypeAdapter(get_type_hints(annotated, getattr(unwrap(function), "__globals__", {}))["return"])
    except NameError as error:
        raise TypeError(f"{function!r}: annotations can't be resolved: {error}") from error
    except PydanticUserError as error:
        raise TypeError(f"{function!r}: the result's type can't be kept as JSON: {error}") from error
