"""What an author writes: a class with typed memory, decisions and settings, a coroutine per kind of event.

class CountTickets(Agent[Memory, Decision]):
    @on("public.tickets", "create")
    async def ticket(self, ctx: Context[Memory, Decision], change: Change[Ticket]) -> None:
        ctx.memory.tickets += 1
        ctx.emit(Decision(tickets=ctx.memory.tickets))
        ctx.remind(timedelta(days=1), StillOpen(ticket=change.row.id))

    @on_reminder
    async def still_open(self, ctx: Context[Memory, Decision], reminder: Reminder[StillOpen]) -> None: ...

    @on_answer
    async def answered(self, ctx: Context[Memory, Decision], answer: Answer[Verdict]) -> None: ...
"""

from __future__ import annotations

import importlib
import types
import typing
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from inspect import iscoroutinefunction
from typing import Any, ClassVar, Generic, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError
from typing_extensions import TypeVar

from headrace_agents.context import Context
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
G = TypeVar("G", bound=Callable[[dict[str, Any]], dict[str, Any]])


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
    backfilled: bool = False
    """Whether a backfill read the row, which may be long unchanged: then ``operation`` is ``read``. A row
    that was changed while its part of the table was read comes as that change alone, so what a backfill
    gives is never older than what came before it."""

    @property
    def row(self) -> R:
        """The row as it is now, or as it was when it was deleted."""
        row = self.after if self.after is not None else self.before
        if row is None:
            raise ValueError(f"{self.operation} of {self.table} carries no row")
        return row


@dataclass(frozen=True, slots=True)
class Reminder(Generic[R]):
    """What :meth:`Context.remind` was given, when its time has come."""

    payload: R
    key: Mapping[str, Any]
    position: Position
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Answer(Generic[R]):
    """What a human answered to :meth:`Context.escalate`."""

    answer: R
    review: str
    """The id that the question has in the review topic."""
    by: str
    key: Mapping[str, Any]
    position: Position


Event = Change[Any] | Reminder[Any] | Answer[Any]


class Agent(Generic[M, D, S]):
    """Base of all agents: ``Agent[Memory, Decisions]`` or ``Agent[Memory, Decisions, Settings]``.

    Memory needs a default for every field. Decisions may be a union. One instance serves all keys of
    a subtask, so what belongs to a key goes into ``ctx.memory``, never into ``self``. Handlers share one
    event loop: what blocks (``time.sleep``, a synchronous client) holds up every other run.

    Settings may be changed while the agent runs: a run has an instance with those that were in force when it
    started, in ``self.settings``.

    When memory changes its shape so that pydantic can't read the old one, raise ``memory_version`` and add a
    function marked with :func:`migrates`.
    """

    memory_version: ClassVar[int] = 1
    """Of the memory's model, from 1 to 65535; kept beside every memory."""

    def __init__(self, settings: S) -> None:
        self.settings = settings

    def redact(self, text: str) -> str:
        """What may leave the process of a text: every message to a model goes through here, and what tools
        were called with. Override it: the model and the logs get what it returns."""
        return text

    async def rehearse(self, step: str, arguments: list[Any], options: dict[str, Any]) -> Any:
        """What ``ctx.step(step, function, *arguments, **options)`` is to give in a rehearsal (`headrace
        agents replay`), where nothing outside is touched. Both are as JSON has them. Without an answer of
        yours the rehearsed run is cut off there."""
        raise NotImplementedError(f"{step} is not rehearsed")


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


def on_reminder(function: F) -> F:
    """Makes a coroutine ``(self, ctx, reminder: Reminder[Payload])`` the handler of such reminders."""
    setattr(function, _MARK, (REMINDER,))
    return function


def on_answer(function: F) -> F:
    """Makes a coroutine ``(self, ctx, answer: Answer[Verdict])`` the handler of humans' answers."""
    setattr(function, _MARK, (ANSWER,))
    return function


def migrates(from_version: int) -> Callable[[G], G]:
    """Makes a static method ``(memory: dict) -> dict`` what brings a memory to the next version."""

    def mark(function: G) -> G:
        # Above ``@staticmethod`` or below it: what the class gives later is the function within.
        setattr(getattr(function, "__func__", function), _MIGRATES, from_version)
        return function

    return mark


Subscription = tuple[str, str]
"""Table and operation, or :data:`REMINDER` or :data:`ANSWER`, of which no table has the name."""
REMINDER: Subscription = ("", "reminder")
ANSWER: Subscription = ("", "answer")
_EVENTS: Mapping[Subscription, type] = {REMINDER: Reminder, ANSWER: Answer}
_MARK = "__headrace_subscriptions__"
_MIGRATES = "__headrace_migrates__"
_MAX_VERSION = 65_535


@dataclass(frozen=True, slots=True)
class Handler:
    """One coroutine of an agent's class and the type of what it takes: rows, payloads or answers."""

    name: str
    payload_type: type[BaseModel]
    function: Callable[[Agent[Any, Any, Any], Context[Any, Any], Any], Awaitable[None]]


Migration = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Outline:
    """What an agent's class says of itself, checked, without its settings."""

    agent_class: type[Agent[Any, Any, Any]]
    memory_type: type[BaseModel]
    decision_types: tuple[type[BaseModel], ...]
    settings_type: type[BaseModel]
    changes: Mapping[Subscription, Handler]
    """By table and operation."""
    reminders: Mapping[str, Handler]
    """By the name of the payload's class."""
    answers: Handler | None
    migrations: Mapping[int, Migration]
    """By the version that they start from."""

    @property
    def memory_version(self) -> int:
        return self.agent_class.memory_version

    @property
    def tables(self) -> frozenset[str]:
        return frozenset(table for table, _ in self.changes)


@dataclass(frozen=True, slots=True)
class LoadedAgent(Outline):
    """An agent that has been checked and is ready to run."""

    instance: Agent[Any, Any, Any]
    settings: Mapping[str, Any]
    """As they are declared."""

    def with_settings(self, settings: Mapping[str, Any]) -> Agent[Any, Any, Any]:
        """Another instance. Raises SettingsError."""
        return _instance(self.agent_class, self.settings_type, settings)


def load(entry_point: str, settings: Mapping[str, Any]) -> LoadedAgent:
    """Imports ``package.module:Class`` and checks it. Raises AgentError."""
    return prepare(_find(entry_point), settings)


def outline_of(entry_point: str) -> Outline:
    """The same, without settings. Raises AgentError."""
    return outline(_find(entry_point))


def outline(agent_class: type[Agent[Any, Any, Any]]) -> Outline:
    """Checks an agent's class. Raises AgentError."""
    memory_type, decision_types, settings_type = _type_arguments(agent_class)
    changes, reminders, answers = _handlers(agent_class)
    migrations = _migrations(agent_class)
    try:
        memory_type()
    except ValidationError as error:
        where = f"{_name(agent_class)}: memory {memory_type.__name__}"
        raise AgentError(f"{where} needs a default for every field: {error}") from error
    return Outline(
        agent_class, memory_type, decision_types, settings_type, changes, reminders, answers, migrations
    )


def prepare(agent_class: type[Agent[Any, Any, Any]], settings: Mapping[str, Any]) -> LoadedAgent:
    """Checks an agent's class and its settings, and makes its instance. Raises AgentError."""
    said = outline(agent_class)
    known = {each.name: getattr(said, each.name) for each in fields(said)}
    return LoadedAgent(
        **known, instance=_instance(agent_class, said.settings_type, settings), settings=settings
    )


def _instance(
    agent_class: type[Agent[Any, Any, Any]], settings_type: type[BaseModel], settings: Mapping[str, Any]
) -> Agent[Any, Any, Any]:
    try:
        checked = settings_type.model_validate(settings)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, at['loc']))}: {at['msg']}" for at in error.errors())
        raise SettingsError(f"{_name(agent_class)}: settings are wrong: {wrong}") from error
    return agent_class(checked)


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


def _handlers(
    agent_class: type[Agent[Any, Any, Any]],
) -> tuple[dict[Subscription, Handler], dict[str, Handler], Handler | None]:
    changes: dict[Subscription, Handler] = {}
    reminders: dict[str, Handler] = {}
    answers: dict[Subscription, Handler] = {}
    for subscription, handler in _subscriptions(agent_class):
        if subscription == REMINDER:
            _add(agent_class, reminders, handler.payload_type.__name__, handler)
        elif subscription == ANSWER:
            _add(agent_class, answers, subscription, handler)
        else:
            _add(agent_class, changes, subscription, handler)
    if not changes:
        raise AgentError(f'{_name(agent_class)}: no handler; mark a coroutine with @on("schema.table")')
    return changes, reminders, answers.get(ANSWER)


def _add(agent_class: type[Any], handlers: dict[Any, Handler], subject: Any, handler: Handler) -> None:
    if subject in handlers:
        both = f"{handlers[subject].name} and {handler.name}"
        raise AgentError(f"{_name(agent_class)}: {both} both handle {subject}")
    handlers[subject] = handler


def _subscriptions(agent_class: type[Agent[Any, Any, Any]]) -> Iterator[tuple[Subscription, Handler]]:
    for name in dir(agent_class):
        function = getattr(agent_class, name)
        for subscription in getattr(function, _MARK, ()):
            if not iscoroutinefunction(function):
                raise AgentError(f"{_name(agent_class)}.{name}: a handler is an `async def`")
            event = _EVENTS.get(subscription, Change)
            if event is Change and subscription[1] not in get_args(Operation):
                allowed = ", ".join(get_args(Operation))
                raise AgentError(
                    f"{_name(agent_class)}.{name}: operation {subscription[1]!r} is none of {allowed}"
                )
            yield subscription, Handler(name, _payload_type(agent_class, name, function, event), function)


def _payload_type(
    agent_class: type[Any], name: str, function: Callable[..., Any], event: type
) -> type[BaseModel]:
    where = f"{_name(agent_class)}.{name}"
    try:
        hints = [hint for parameter, hint in get_type_hints(function).items() if parameter != "return"]
    except NameError as error:
        raise AgentError(f"{where}: annotations can't be resolved: {error}") from error
    payloads = [get_args(hint)[0] for hint in hints if get_origin(hint) is event]
    if len(payloads) != 1 or not (isinstance(payloads[0], type) and issubclass(payloads[0], BaseModel)):
        what = "Row" if event is Change else "Payload"
        raise AgentError(
            f"{where}: annotate its last parameter as {event.__name__}[{what}], {what} a pydantic model"
        )
    return payloads[0]


def _migrations(agent_class: type[Agent[Any, Any, Any]]) -> dict[int, Migration]:
    """Without a gap from some version to the one before the class's own."""
    now = agent_class.memory_version
    if not 1 <= now <= _MAX_VERSION:
        raise AgentError(f"{_name(agent_class)}: memory_version {now} is not from 1 to {_MAX_VERSION}")
    migrations: dict[int, Migration] = {}
    for name in dir(agent_class):
        function = getattr(agent_class, name)
        version = getattr(function, _MIGRATES, None)
        if version is None:
            continue
        if version in migrations:
            raise AgentError(f"{_name(agent_class)}.{name}: a second migration from version {version}")
        migrations[version] = function
    if sorted(migrations) != list(range(now - len(migrations), now)):
        raise AgentError(
            f"{_name(agent_class)}: memory_version is {now}; migrations start from"
            f" {', '.join(map(str, sorted(migrations))) or 'none'}, which do not lead to it without a gap"
        )
    return migrations


def _name(agent_class: type[Any]) -> str:
    return f"{agent_class.__module__}:{agent_class.__qualname__}"
