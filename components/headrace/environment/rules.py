"""What types can't say: rules between fields.

Each rule looks at the parts of the declaration that are well-formed on their own, so that one
wrong field does not hide what is wrong elsewhere. A rule that needs *every* part of a kind (is this
input declared?) stays silent while one of them could not be read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from headrace.environment import names
from headrace.environment.model import SCRIPTED, Agent, Checkpoints, Model, Recovery, Source, Table
from headrace.environment.problem import Path, Problem

T = TypeVar("T")


@dataclass(frozen=True)
class Placed(Generic[T]):
    """A well-formed part, and where it stands."""

    path: Path
    value: T

    def problem(self, *below: str | int, given: str, allowed: str) -> Problem:
        return Problem((*self.path, *below), given, allowed)


@dataclass(frozen=True)
class Parts:
    """The well-formed parts of a declaration."""

    environment: str
    sources: tuple[Placed[Source], ...]
    agents: tuple[Placed[Agent], ...]
    recovery: Placed[Recovery] | None
    checkpoints: Placed[Checkpoints] | None
    every_source: bool
    """Whether every source could be read."""

    @property
    def tables(self) -> tuple[Placed[Table], ...]:
        return tuple(
            Placed((*source.path, "tables", at), table)
            for source in self.sources
            for at, table in enumerate(source.value.tables)
        )

    @property
    def models(self) -> tuple[tuple[Placed[Agent], Placed[Model]], ...]:
        return tuple(
            (agent, Placed((*agent.path, "model"), agent.value.model))
            for agent in self.agents
            if agent.value.model is not None
        )

    @property
    def inputs(self) -> Mapping[str, Table]:
        """Every declared table under its name as an agent's input."""
        return {
            names.table_topic(source.value.name, table.name): table
            for source in self.sources
            for table in source.value.tables
        }


def problems(data: Mapping[str, Any], environment: str) -> list[Problem]:
    """Everything the rules find in a declaration that need not be well-formed."""
    sources = _items(Source, data, "sources")
    given_sources = data.get("sources")
    parts = Parts(
        environment,
        sources=sources,
        agents=_items(Agent, data, "agents"),
        recovery=_part(Recovery, data.get("recovery"), ("recovery",)),
        checkpoints=_part(Checkpoints, data.get("checkpoints"), ("checkpoints",)),
        every_source=isinstance(given_sources, (list, tuple)) and len(sources) == len(given_sources),
    )
    return [problem for rule in RULES for problem in rule(parts)]


def _part(kind: type[T], data: Any, path: Path) -> Placed[T] | None:
    try:
        return Placed(path, TypeAdapter(kind).validate_python(data))
    except ValidationError:
        return None


def _items(kind: type[T], data: Mapping[str, Any], field: str) -> tuple[Placed[T], ...]:
    items = data.get(field)
    if not isinstance(items, (list, tuple)):
        return ()
    placed = (_part(kind, item, (field, at)) for at, item in enumerate(items))
    return tuple(part for part in placed if part is not None)


def _repeated(placed: tuple[Placed[T], ...], name: Callable[[T], str], what: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for part in placed:
        here = name(part.value)
        if here in seen:
            yield part.problem("name", given=f"{here!r} a second time", allowed=f"each {what} once")
        seen.add(here)


def source_declared_twice(parts: Parts) -> Iterator[Problem]:
    """Each source is declared once: its name makes topics and a slot."""
    return _repeated(parts.sources, lambda source: source.name, "source")


def agent_declared_twice(parts: Parts) -> Iterator[Problem]:
    """Each agent is declared once: its name makes a job and topics."""
    return _repeated(parts.agents, lambda agent: agent.name, "agent")


def table_declared_twice(parts: Parts) -> Iterator[Problem]:
    """Each table of a source is declared once."""
    for source in parts.sources:
        tables = tuple(
            Placed((*source.path, "tables", at), table) for at, table in enumerate(source.value.tables)
        )
        yield from _repeated(tables, lambda table: table.name, "table of a source")


def slot_name_too_long(parts: Parts) -> Iterator[Problem]:
    """The slot's name, `headrace_<environment>_<source>`, has at most 63 characters: PostgreSQL cuts more."""
    for source in parts.sources:
        slot = names.slot(parts.environment, source.value.name)
        if len(slot) > names.SLOT_MAX_CHARS:
            yield source.problem(
                "name",
                given=f"{source.value.name!r}, whose replication slot {slot!r} has {len(slot)} characters",
                allowed=f"a slot name of at most {names.SLOT_MAX_CHARS} characters",
            )


def column_repeated(parts: Parts) -> Iterator[Problem]:
    """A key names each column once."""
    listed = [
        (table, field, columns)
        for table in parts.tables
        for field, columns in (("primary_key", table.value.primary_key), ("key", table.value.key or ()))
    ]
    for table, field, columns in listed:
        yield from _twice(table, field, columns)
    for agent in parts.agents:
        yield from _twice(agent, "key", agent.value.key)


def input_repeated(parts: Parts) -> Iterator[Problem]:
    """An agent names each input once."""
    for agent in parts.agents:
        yield from _twice(agent, "inputs", agent.value.inputs)


def _twice(part: Placed[Any], field: str, items: tuple[str, ...]) -> Iterator[Problem]:
    for item, times in Counter(items).items():
        if times > 1:
            yield part.problem(field, given=f"{item!r} {times} times", allowed="each one once")


def primary_key_not_among_columns(parts: Parts) -> Iterator[Problem]:
    """The primary key is among the columns, where columns are listed."""
    for table in parts.tables:
        yield from _not_among_columns(table, "primary_key", table.value.primary_key)


def key_not_among_columns(parts: Parts) -> Iterator[Problem]:
    """The key is among the columns, where columns are listed."""
    for table in parts.tables:
        yield from _not_among_columns(table, "key", table.value.key or ())


def _not_among_columns(table: Placed[Table], field: str, given: tuple[str, ...]) -> Iterator[Problem]:
    columns = table.value.columns
    for at, column in enumerate(given):
        if columns and column not in columns:
            yield table.problem(field, at, given=repr(column), allowed=f"a listed column: {_listed(columns)}")


def topics_collide(parts: Parts) -> Iterator[Problem]:
    """Topics differ in more than `.` and `_`: Kafka takes the two for the same and refuses the second."""
    topics: dict[str, str] = {}
    for part, topic in _topics(parts):
        first = topics.setdefault(topic.replace(".", "_"), topic)
        if first != topic:
            yield part.problem(
                "name",
                given=f"a name that makes the topic {topic!r} beside {first!r}",
                allowed="topics that differ in more than `.` and `_`",
            )


def _topics(parts: Parts) -> Iterator[tuple[Placed[Any], str]]:
    for source in parts.sources:
        for at, table in enumerate(source.value.tables):
            yield (
                Placed((*source.path, "tables", at), table),
                names.table_topic(source.value.name, table.name),
            )
    for agent in parts.agents:
        for topic in names.agent_topics(agent.value.name):
            yield agent, topic


def input_not_declared(parts: Parts) -> Iterator[Problem]:
    """Inputs are declared tables: an agent without a source would wait for ever."""
    if not parts.every_source:
        return
    sources = {source.value.name for source in parts.sources}
    for agent in parts.agents:
        for at, given in enumerate(agent.value.inputs):
            if given in parts.inputs:
                continue
            of_source = given.split(".", 1)[0]
            what = "a declared table" if of_source in sources else "a table of a declared source"
            yield agent.problem("inputs", at, given=repr(given), allowed=f"{what}: {_listed(parts.inputs)}")


def agent_key_not_in_message_key(parts: Parts) -> Iterator[Problem]:
    """An agent's key is within the key of each input table: order is kept only within a partition."""
    for agent in parts.agents:
        for name in agent.value.inputs:
            table = parts.inputs.get(name)
            if table is None:
                continue
            for at, column in enumerate(agent.value.key):
                if column not in table.message_key:
                    yield agent.problem(
                        "key",
                        at,
                        given=f"{column!r}",
                        allowed=f"a key column of {name}: {_listed(table.message_key)}",
                    )


def parallelism_min_over_max(parts: Parts) -> Iterator[Problem]:
    """`parallelism_min` is at most `parallelism_max`."""
    for agent in parts.agents:
        scaling = agent.value.scaling
        if scaling.parallelism_min > scaling.parallelism_max:
            yield agent.problem(
                "scaling",
                "parallelism_min",
                given=str(scaling.parallelism_min),
                allowed=f"at most parallelism_max, {scaling.parallelism_max}",
            )


def interval_over_max_replay(parts: Parts) -> Iterator[Problem]:
    """`checkpoints.interval` is at most `recovery.max_replay`, or a failure repeats more than that."""
    if parts.recovery is None or parts.checkpoints is None:
        return
    interval, max_replay = parts.checkpoints.value.interval, parts.recovery.value.max_replay
    if interval is not None and interval > max_replay:
        yield parts.checkpoints.problem(
            "interval", given=str(interval), allowed=f"at most recovery.max_replay, {max_replay}"
        )


def model_without_latency(parts: Parts) -> Iterator[Problem]:
    """An agent with a model declares `model_latency`: calls in flight are worked out from it."""
    for agent, _model in parts.models:
        if agent.value.workload.model_latency is None:
            yield agent.problem(
                "workload",
                "model_latency",
                given="nothing",
                allowed="required with a model: a duration, `200ms`",
            )


def latency_without_model(parts: Parts) -> Iterator[Problem]:
    """An agent without a model declares no `model_latency`."""
    for agent in parts.agents:
        latency = agent.value.workload.model_latency
        if agent.value.model is None and latency is not None:
            yield agent.problem(
                "workload",
                "model_latency",
                given=str(latency),
                allowed="left out for an agent without a model",
            )


def latency_over_deadline(parts: Parts) -> Iterator[Problem]:
    """`model_latency` is under `limits.run_deadline`, or every event becomes a dead letter."""
    for agent in parts.agents:
        latency, deadline = agent.value.workload.model_latency, agent.value.limits.run_deadline
        if latency is not None and deadline is not None and latency >= deadline:
            yield agent.problem(
                "workload",
                "model_latency",
                given=str(latency),
                allowed=f"less than limits.run_deadline, {deadline}: or every event is a dead letter",
            )


def timeout_outside_latency_and_deadline(parts: Parts) -> Iterator[Problem]:
    """`model.timeout` is over `model_latency` and at most `limits.run_deadline`."""
    for agent, model in parts.models:
        timeout, latency = model.value.timeout, agent.value.workload.model_latency
        deadline = agent.value.limits.run_deadline
        if timeout is None:
            continue
        if latency is not None and timeout <= latency:
            yield model.problem(
                "timeout", given=str(timeout), allowed=f"more than workload.model_latency, {latency}"
            )
        if deadline is not None and timeout > deadline:
            yield model.problem(
                "timeout", given=str(timeout), allowed=f"at most limits.run_deadline, {deadline}"
            )


def concurrency_below_parallelism(parts: Parts) -> Iterator[Problem]:
    """`model.max_concurrency` is at least `parallelism_min`: each subtask needs a call of its own."""
    for agent, model in parts.models:
        calls, subtasks = model.value.max_concurrency, agent.value.scaling.parallelism_min
        if calls is not None and calls < subtasks:
            yield model.problem(
                "max_concurrency",
                given=str(calls),
                allowed=f"at least scaling.parallelism_min, {subtasks}: one call for each subtask",
            )


def endpoint_ends_in_path_of_a_call(parts: Parts) -> Iterator[Problem]:
    """`model.endpoint` is the base URL: the client adds `/chat/completions`."""
    for _agent, model in parts.models:
        endpoint = model.value.endpoint
        if endpoint != SCRIPTED and urlsplit(endpoint).path.rstrip("/").endswith("/chat/completions"):
            yield model.problem(
                "endpoint", given=repr(endpoint), allowed="the base URL, without /chat/completions"
            )


def api_key_in_both_or_no_place(parts: Parts) -> Iterator[Problem]:
    """`api_key` has either `env` or `file`; the scripted model has no key."""
    for _agent, model in parts.models:
        key = model.value.api_key
        if key is None:
            continue
        if (key.env is None) == (key.file is None):
            given = "neither env nor file" if key.env is None else "both env and file"
            yield model.problem("api_key", given=given, allowed="`{env: NAME}` or `{file: /PATH}`")
        if model.value.endpoint == SCRIPTED:
            yield model.problem("api_key", given="a key", allowed="left out with the scripted model")


def inbox_soft_over_hard(parts: Parts) -> Iterator[Problem]:
    """`inbox_soft_events` is at most `inbox_hard_events`."""
    for agent in parts.agents:
        soft, hard = agent.value.limits.inbox_soft_events, agent.value.limits.inbox_hard_events
        if soft is not None and hard is not None and soft > hard:
            yield agent.problem(
                "limits", "inbox_soft_events", given=str(soft), allowed=f"at most inbox_hard_events, {hard}"
            )


def state_per_key_over_limit(parts: Parts) -> Iterator[Problem]:
    """`state_bytes_per_key` is at most `limits.max_memory_bytes`, or usual memory is over its bound."""
    for agent in parts.agents:
        declared, limit = agent.value.workload.state_bytes_per_key, agent.value.limits.max_memory_bytes
        if limit is not None and declared > limit:
            yield agent.problem(
                "workload",
                "state_bytes_per_key",
                given=str(declared),
                allowed=f"at most limits.max_memory_bytes, {limit}",
            )


def settings_are_not_data(parts: Parts) -> Iterator[Problem]:
    """`settings` hold what JSON can, as they travel as JSON: put quotes around dates."""
    for agent in parts.agents:
        yield from _not_json(agent, ("settings",), agent.value.settings)


def _not_json(agent: Placed[Agent], path: Path, value: Any) -> Iterator[Problem]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _not_json(agent, (*path, key), inner)
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _not_json(agent, (*path, at), inner)
    elif value is not None and not isinstance(value, (str, int, float, bool)):
        yield agent.problem(
            *path, given=repr(value), allowed="text, number, true, false, list or mapping; quote dates"
        )


def _listed(items: Any) -> str:
    return ", ".join(items)


RULES: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    source_declared_twice,
    table_declared_twice,
    agent_declared_twice,
    slot_name_too_long,
    topics_collide,
    column_repeated,
    input_repeated,
    primary_key_not_among_columns,
    key_not_among_columns,
    input_not_declared,
    agent_key_not_in_message_key,
    parallelism_min_over_max,
    interval_over_max_replay,
    model_without_latency,
    latency_without_model,
    latency_over_deadline,
    timeout_outside_latency_and_deadline,
    concurrency_below_parallelism,
    endpoint_ends_in_path_of_a_call,
    api_key_in_both_or_no_place,
    inbox_soft_over_hard,
    state_per_key_over_limit,
    settings_are_not_data,
)
"""Every rule, in the order in which their findings are listed."""
