"""What types can't say: rules between fields about names, keys and forms.

Facts whose numbers can't both hold are in :mod:`headrace.environment.contradictions` and, where it is a
load and what has to carry it, in :mod:`headrace.environment.overload`. Each rule looks at
the parts of the declaration that are well-formed on their own. A rule that needs *every* part of a kind
(is this input declared?) stays silent while one of them could not be read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from headrace.environment import (
    aws_rules,
    backfill_rules,
    contradictions,
    engine_rules,
    money_rules,
    names,
    overload,
)
from headrace.environment.model import Agent, Table
from headrace.environment.parts import Parts, Placed, parts_of
from headrace.environment.problem import Path, Problem
from headrace.environment.substrates import LocalSubstrate
from headrace.environment.types import A_RECEIVER, AN_ENDPOINT, SCRIPTED

T = TypeVar("T")


def problems(data: Mapping[str, Any], environment: str) -> list[Problem]:
    """Everything the rules find in a declaration that need not be well-formed."""
    parts = parts_of(data, environment)
    return [problem for rule in RULES for problem in rule(parts)]


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


def agent_declared_and_removed(parts: Parts) -> Iterator[Problem]:
    """`agents_removed` names no agent that is declared."""
    declared = {agent.value.name for agent in parts.agents}
    for at, name in enumerate(parts.agents_removed.value):
        if name in declared:
            allowed = "an agent that is no longer among the agents"
            yield parts.agents_removed.problem(at, given=repr(name), allowed=allowed)


def table_declared_twice(parts: Parts) -> Iterator[Problem]:
    """Each table of a source is declared once."""
    for source in parts.sources:
        tables = tuple(
            Placed((*source.path, "tables", at), table) for at, table in enumerate(source.value.tables)
        )
        yield from _repeated(tables, lambda table: table.name, "table of a source")


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
        for topic in names.source_topics(source.value.name):
            yield source, topic
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


def endpoint_ends_in_path_of_a_call(parts: Parts) -> Iterator[Problem]:
    """`endpoint` is the base URL: the client adds `/chat/completions` and `/embeddings`."""
    for _agent, model in parts.model_endpoints:
        endpoint = model.value.endpoint or ""
        for call in ("/chat/completions", "/embeddings"):
            if urlsplit(endpoint).path.rstrip("/").endswith(call):
                yield model.problem("endpoint", given=repr(endpoint), allowed=f"the base URL, without {call}")


def address_of_another_provider(parts: Parts) -> Iterator[Problem]:
    """`openai` has `endpoint`, and no `region`; `bedrock` `region`, and nothing that it can't keep."""
    for _agent, model in parts.model_endpoints:
        given = model.value
        if given.provider == "openai":
            if given.endpoint is None:
                allowed = f"{AN_ENDPOINT}; or `provider: bedrock` and a region"
                yield model.problem("endpoint", given="nothing", allowed=allowed)
            if given.region is not None:
                allowed = "left out, or `provider: bedrock`: an OpenAI-compatible endpoint has no region"
                yield model.problem("region", given=repr(given.region), allowed=allowed)
            continue
        if given.region is None:
            allowed = "required with provider `bedrock`: a region of AWS, `eu-central-1`"
            yield model.problem("region", given="nothing", allowed=allowed)
        if given.endpoint == SCRIPTED:
            allowed = "left out, or a URL: with provider `bedrock` the scripted model does not answer"
            yield model.problem("endpoint", given=repr(SCRIPTED), allowed=allowed)
        if given.api_key is not None:
            allowed = "left out: with provider `bedrock` credentials come from boto3's own chain"
            yield model.problem("api_key", given="a key", allowed=allowed)
        if given.max_answer_bytes is not None:
            allowed = "left out: with provider `bedrock` answers are read whole"
            yield model.problem("max_answer_bytes", given=str(given.max_answer_bytes), allowed=allowed)


def api_key_in_both_or_no_place(parts: Parts) -> Iterator[Problem]:
    """`api_key` has either `env` or `file`; the scripted model has no key."""
    for _agent, model in parts.model_endpoints:
        key = model.value.api_key
        if key is None:
            continue
        if (key.env is None) == (key.file is None):
            given = "neither env nor file" if key.env is None else "both env and file"
            yield model.problem("api_key", given=given, allowed="`{env: NAME}` or `{file: /PATH}`")
        if model.value.endpoint == SCRIPTED:
            yield model.problem("api_key", given="a key", allowed="left out with the scripted model")


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


def traces_without_a_receiver(parts: Parts) -> Iterator[Problem]:
    """On this machine `tracing` has its `endpoint`: no collector runs there."""
    tracing, substrate = parts.tracing, parts.substrate
    if tracing is None or tracing.value.endpoint is not None or substrate is None:
        return
    if isinstance(substrate.value, LocalSubstrate):
        yield tracing.problem("endpoint", given="none", allowed=f"{A_RECEIVER}: substrate.kind is `local`")


RULES: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    source_declared_twice,
    table_declared_twice,
    agent_declared_twice,
    agent_declared_and_removed,
    topics_collide,
    column_repeated,
    input_repeated,
    primary_key_not_among_columns,
    key_not_among_columns,
    input_not_declared,
    agent_key_not_in_message_key,
    endpoint_ends_in_path_of_a_call,
    address_of_another_provider,
    api_key_in_both_or_no_place,
    settings_are_not_data,
    traces_without_a_receiver,
    *engine_rules.RULES,
    *backfill_rules.RULES,
    *contradictions.RULES,
    *overload.RULES,
    *money_rules.RULES,
    *aws_rules.RULES,
)
"""Every rule, in the order in which their findings are listed."""
