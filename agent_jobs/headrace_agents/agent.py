"""What an author writes: a class with typed memory, decisions and settings, and a coroutine per table.

class CountTickets(Agent[Memory, Decision]):
    @on("public.tickets", "create")
    async def ticket(self, ctx: Context[Memory, Decision], change: Change[Ticket]) -> None:
        ctx.memory.tickets += 1
        ctx.emit(Decision(tickets=ctx.memory.tickets))
"""

from __future__ import annotations

import importlib
import types
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from inspect import iscoroutinefunction
from typing import Any, Generic, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError
from typing_extensions import TypeVar

from headrace_agents.chat import RunModel
from headrace_agents.records import Position

Operation = Literal["create", "update", "delete", "read"]
"""What happened to a row; ``read`` is a row found by the connector's snapshot."""


class NoSettings(BaseModel):
    """The settings of an agent that has none."""

    model_config = ConfigDict(extra="forbid")


M = TypeVar("M", bound=BaseModel)
D = TypeVar("D", bound=BaseModel)
S = TypeVar("S", bound=BaseModel, default=NoSettings)
R = TypeVar("R", bound=BaseModel)
F = TypeVar("F", bound=Callable[..., Awaitable[None]])


class AgentError(Exception):
    """The agent's class, entry point or settings are wrong; the message says what and where."""


class SettingsError(AgentError):
    """The agent's class does not take these settings."""


@dataclass(frozen=True, slots=True)
class Change(Generic[R]):
    """One change of one row."""

    operation: Operation
    table: str
    """``schema.table``"""
    before: R | None
    after: R | None
    key: Mapping[str, Any]
    """The business key, by field."""
    position: Position
    committed_at: datetime | None
    """In the source database; None where the source does not say."""

    @property
    def row(self) -> R:
        """The row as it is now, or as it was when it was deleted."""
        row = self.after if self.after is not None else self.before
        if row is None:
            raise ValueError(f"{self.operation} of {self.table} carries no row")
        return row


class Context(Generic[M, D]):
    """What one run may use. Nothing of it takes effect before the run has ended well."""

    def __init__(self, memory: M, model: RunModel, decision_types: tuple[type[BaseModel], ...]) -> None:
        self.memory = memory
        """What the agent remembers for this key; change it in place or replace it."""
        self.model = model
        self._decision_types = decision_types
        self._decisions: list[BaseModel] = []

    def emit(self, decision: D) -> None:
        """Adds a decision. Raises TypeError if it is of no type that the agent's class declares."""
        if not isinstance(decision, self._decision_types):
            names = ", ".join(kind.__name__ for kind in self._decision_types)
            raise TypeError(f"emitted a {type(decision).__name__}; the agent declares {names}")
        self._decisions.append(decision)

    @property
    def decisions(self) -> tuple[BaseModel, ...]:
        """What was emitted so far."""
        return tuple(self._decisions)


class Agent(Generic[M, D, S]):
    """Base of all agents: ``Agent[Memory, Decisions]`` or ``Agent[Memory, Decisions, Settings]``.

    Memory needs a default for every field. Decisions may be a union. One instance serves all keys of
    a subtask, so what belongs to a key goes into ``ctx.memory``, never into ``self``. Handlers share one
    event loop: what blocks (``time.sleep``, a synchronous client) holds up every other run.
    """

    def __init__(self, settings: S) -> None:
        self.settings = settings


def on(table: str, *operations: Operation) -> Callable[[F], F]:
    """Makes a coroutine ``(self, ctx, change: Change[Row])`` the handler of a table's changes.

    Without operations it handles all of them. May be given more than once.
    """

    def mark(function: F) -> F:
        subscriptions = getattr(function, _MARK, ())
        added = ((table, operation) for operation in operations or get_args(Operation))
        setattr(function, _MARK, (*subscriptions, *added))
        return function

    return mark


_MARK = "__headrace_subscriptions__"


@dataclass(frozen=True, slots=True)
class Handler:
    """One coroutine of an agent's class and the type of the rows it takes."""

    name: str
    row_type: type[BaseModel]
    function: Callable[[Agent[Any, Any, Any], Context[Any, Any], Change[Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class LoadedAgent:
    """An agent that has been checked and is ready to run."""

    instance: Agent[Any, Any, Any]
    memory_type: type[BaseModel]
    decision_types: tuple[type[BaseModel], ...]
    handlers: Mapping[tuple[str, Operation], Handler]


def load(entry_point: str, settings: Mapping[str, Any]) -> LoadedAgent:
    """Imports ``package.module:Class`` and checks it. Raises AgentError."""
    return prepare(_find(entry_point), settings)


def prepare(agent_class: type[Agent[Any, Any, Any]], settings: Mapping[str, Any]) -> LoadedAgent:
    """Checks an agent's class and its settings, and makes its instance. Raises AgentError."""
    memory_type, decision_types, settings_type = _type_arguments(agent_class)
    handlers = _handlers(agent_class)
    try:
        memory_type()
    except ValidationError as error:
        where = f"{_name(agent_class)}: memory {memory_type.__name__}"
        raise AgentError(f"{where} needs a default for every field: {error}") from error
    try:
        checked = settings_type.model_validate(settings)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, at['loc']))}: {at['msg']}" for at in error.errors())
        raise SettingsError(f"{_name(agent_class)}: settings are wrong: {wrong}") from error
    return LoadedAgent(agent_class(checked), memory_type, decision_types, handlers)


def _find(entry_point: str) -> type[Agent[Any, Any, Any]]:
    module_name, colon, class_name = entry_point.partition(":")
    if not (module_name and colon and class_name):
        raise AgentError(f"entry point {entry_point!r} is not of the form package.module:Class")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # importing runs the module's own code
        cause = f"{type(error).__name__}: {error}"
        raise AgentError(f"entry point {entry_point!r}: can't import {module_name}: {cause}") from error
    found = getattr(module, class_name, None)
    if found is None:
        raise AgentError(f"entry point {entry_point!r}: module {module_name} has no {class_name}")
    if not (isinstance(found, type) and issubclass(found, Agent)):
        raise AgentError(f"entry point {entry_point!r}: {class_name} is no subclass of headrace_agents.Agent")
    return found


def _type_arguments(
    agent_class: type[Agent[Any, Any, Any]],
) -> tuple[type[BaseModel], tuple[type[BaseModel], ...], type[BaseModel]]:
    for base in getattr(agent_class, "__orig_bases__", ()):
        if get_origin(base) is Agent:
            memory, decisions, *rest = get_args(base)
            is_union = get_origin(decisions) in (typing.Union, types.UnionType)
            kinds = get_args(decisions) if is_union else (decisions,)
            settings = rest[0] if rest else NoSettings
            for kind in (memory, *kinds, settings):
                if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
                    raise AgentError(f"{_name(agent_class)}: {kind!r} in Agent[...] is not a pydantic model")
            return memory, kinds, settings
    raise AgentError(f"{_name(agent_class)}: derive it from Agent[Memory, Decisions], so that both are known")


def _handlers(agent_class: type[Agent[Any, Any, Any]]) -> Mapping[tuple[str, Operation], Handler]:
    handlers: dict[tuple[str, Operation], Handler] = {}
    for name in dir(agent_class):
        function = getattr(agent_class, name)
        subscriptions = getattr(function, _MARK, ())
        if not subscriptions:
            continue
        if not iscoroutinefunction(function):
            raise AgentError(f"{_name(agent_class)}.{name}: a handler is an `async def`")
        handler = Handler(name, _row_type(agent_class, name, function), function)
        for subscription in subscriptions:
            if subscription[1] not in get_args(Operation):
                allowed = ", ".join(get_args(Operation))
                raise AgentError(
                    f"{_name(agent_class)}.{name}: operation {subscription[1]!r} is none of {allowed}"
                )
            if subscription in handlers:
                other = handlers[subscription].name
                raise AgentError(f"{_name(agent_class)}: {other} and {name} both handle {subscription}")
            handlers[subscription] = handler
    if not handlers:
        raise AgentError(f'{_name(agent_class)}: no handler; mark a coroutine with @on("schema.table")')
    return handlers


def _row_type(agent_class: type[Any], name: str, function: Callable[..., Any]) -> type[BaseModel]:
    try:
        hints = [hint for parameter, hint in get_type_hints(function).items() if parameter != "return"]
    except NameError as error:
        raise AgentError(f"{_name(agent_class)}.{name}: annotations can't be resolved: {error}") from error
    rows = [get_args(hint)[0] for hint in hints if get_origin(hint) is Change]
    if len(rows) != 1 or not (isinstance(rows[0], type) and issubclass(rows[0], BaseModel)):
        where = f"{_name(agent_class)}.{name}"
        raise AgentError(f"{where}: annotate its last parameter as Change[Row], Row a pydantic model")
    return rows[0]


def _name(agent_class: type[Any]) -> str:
    return f"{agent_class.__module__}:{agent_class.__qualname__}"
