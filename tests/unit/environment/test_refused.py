"""Declarations that are refused: each kind at its path, with what was given and what is allowed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from headrace.environment import DeclarationError, parse_environment
from headrace.environment.problem import dotted
from tests.unit.environment.declarations import parsed, shipped

Change = Callable[[dict[str, Any]], Any]


def _table(declaration: dict[str, Any], at: int = 1) -> Any:
    return declaration["sources"][0]["tables"][at]


def _agent(declaration: dict[str, Any]) -> Any:
    return declaration["agents"][0]


def set_at(*path: str | int, to: Any) -> Change:
    def change(declaration: dict[str, Any]) -> None:
        at: Any = declaration
        for step in path[:-1]:
            at = at.setdefault(step, {}) if isinstance(at, dict) else at[step]
        at[path[-1]] = to

    return change


def without(*path: str | int) -> Change:
    def change(declaration: dict[str, Any]) -> None:
        at: Any = declaration
        for step in path[:-1]:
            at = at[step]
        del at[path[-1]]

    return change


AGENT = ("agents", 0)
MODEL = (*AGENT, "model")
ON_BEDROCK = {"provider": "bedrock", "region": "eu-central-1", "name": "some.model"}
SOURCE = ("sources", 0)
CUSTOMERS_AGAIN = {"id": "again", "tables": ["public.customers"]}
TICKETS = (*SOURCE, "tables", 1)

REFUSED: dict[str, tuple[Change, str, str, str]] = {
    "agent declared and removed": (
        set_at("agents_removed", to=["gone", "order-risk"]),
        "agents_removed[1]",
        "'order-risk'",
        "an agent that is no longer among the agents",
    ),
    "backfill twice": (
        set_at(*SOURCE, "backfills", to=[CUSTOMERS_AGAIN, CUSTOMERS_AGAIN]),
        "sources[0].backfills[1].id",
        "'again' a second time",
        "each backfill of a source once",
    ),
    "backfill of a table that is not captured": (
        set_at(*SOURCE, "backfills", to=[CUSTOMERS_AGAIN | {"tables": ["public.parcels"]}]),
        "sources[0].backfills[0].tables[0]",
        "'public.parcels'",
        "a table of source support: public.customers",
    ),
    "backfill of a table twice": (
        set_at(*SOURCE, "backfills", to=[CUSTOMERS_AGAIN | {"tables": ["public.customers"] * 2}]),
        "sources[0].backfills[0].tables",
        "'public.customers' 2 times",
        "each one once",
    ),
    "backfill of rows that have one key": (
        set_at(*SOURCE, "backfills", to=[CUSTOMERS_AGAIN | {"tables": ["public.tickets"]}]),
        "sources[0].backfills[0].tables[0]",
        "whose records have the key customer_id",
        "has its primary key, id",
    ),
    "backfill with a condition of another table": (
        set_at(*SOURCE, "backfills", to=[CUSTOMERS_AGAIN | {"where": {"public.orders": "true"}}]),
        "sources[0].backfills[0].where.public.orders",
        "a condition of public.orders",
        "a table of the backfill: public.customers",
    ),
    "backfill with one condition for two tables": (
        set_at(
            *SOURCE,
            "backfills",
            to=[CUSTOMERS_AGAIN | {"tables": ["public.customers", "public.orders"], "where": "true"}],
        ),
        "sources[0].backfills[0].where",
        "'true'",
        "a mapping from tables to conditions",
    ),
    "backfill with two statements": (
        set_at(*SOURCE, "backfills", to=[CUSTOMERS_AGAIN | {"where": "true; drop table public.customers"}]),
        "sources[0].backfills[0].where.public.customers",
        "'true; drop",
        "without `;`",
    ),
    "backfill with an empty condition": (
        set_at(*SOURCE, "backfills", to=[CUSTOMERS_AGAIN | {"where": " "}]),
        "sources[0].backfills[0].where.public.customers",
        "' '",
        "SQL as it stands after `WHERE`",
    ),
    "backfill of nothing": (
        set_at(*SOURCE, "backfills", to=[CUSTOMERS_AGAIN | {"tables": []}]),
        "sources[0].backfills[0].tables",
        "a list of 0",
        "one or more tables",
    ),
    "backfilled rows that are neither decided nor skipped": (
        set_at(*AGENT, "backfilled", to="drop"),
        "agents[0].backfilled",
        "'drop'",
        "`decide` or `skip`",
    ),
    "traces to nobody": (set_at("tracing", to={}), "tracing.endpoint", "none", "substrate.kind is `local`"),
    "traces by a path": (
        set_at("tracing", to={"endpoint": "https://traces.example:443/v1/traces"}),
        "tracing.endpoint",
        "/v1/traces",
        "without user, path",
    ),
    "traces in clear text": (
        set_at("tracing", to={"endpoint": "http://traces.example:4317"}),
        "tracing.endpoint",
        "http://traces.example",
        "of this machine",
    ),
    "no traces at all": (
        set_at("tracing", to={"endpoint": "http://localhost:4317", "share": 0}),
        "tracing.share",
        "0",
        "over 0, at most 1",
    ),
    "unknown field": (set_at("agnets", to=[]), "agnets", "an unknown field", "did you mean `agents`?"),
    "unknown field below": (
        set_at(*AGENT, "scaling", "paralelism", to=1),
        "agents[0].scaling.paralelism",
        "an unknown field",
        "parallelism_min, parallelism_max",
    ),
    "the name as a field": (set_at("name", to="x"), "name", "'x'", "the stack's file name gives the name"),
    "missing field": (without("owner"), "owner", "nothing", "required: text"),
    "missing part": (without("recovery"), "recovery", "nothing", "required"),
    "wrong type": (
        set_at(*AGENT, "workload", "keys", to="many"),
        "agents[0].workload.keys",
        "'many'",
        "a whole number, 1 or more",
    ),
    "a number in quotes": (
        set_at(*AGENT, "workload", "keys", to="5"),
        "agents[0].workload.keys",
        "'5'",
        "a whole number",
    ),
    "a fraction": (
        set_at(*AGENT, "workload", "keys", to=1.5),
        "agents[0].workload.keys",
        "1.5",
        "a whole number",
    ),
    "true for a number": (
        set_at(*AGENT, "workload", "keys", to=True),
        "agents[0].workload.keys",
        "True",
        "a whole number",
    ),
    "a mapping for a list": (
        set_at("sources", to={}),
        "sources",
        "a mapping",
        "a list of one or more sources",
    ),
    "text for a mapping": (set_at("recovery", to="soon"), "recovery", "'soon'", "recovery objectives"),
    "no sources": (set_at("sources", to=[]), "sources", "a list of 0", "a list of one or more sources"),
    "no agents": (set_at("agents", to=[]), "agents", "a list of 0", "a list of one or more agents"),
    "no tables": (set_at(*SOURCE, "tables", to=[]), "sources[0].tables", "a list of 0", "one or more tables"),
    "unknown substrate": (
        set_at("substrate", "kind", to="gcp"),
        "substrate.kind",
        "'gcp'",
        "`local` or `aws`",
    ),
    "port base too low": (
        set_at("substrate", "port_base", to=80),
        "substrate.port_base",
        "80",
        "from 1024 to 65436",
    ),
    "port base too high": (
        set_at("substrate", "port_base", to=65437),
        "substrate.port_base",
        "65437",
        "from 1024 to 65436",
    ),
    "no TaskManager": (
        set_at("substrate", "taskmanagers", to=0),
        "substrate.taskmanagers",
        "0",
        "from 1 to 16",
    ),
    "relative data folder": (
        set_at("substrate", "data_dir", to="data"),
        "substrate.data_dir",
        "'data'",
        "an absolute path",
    ),
    "unknown engine": (
        set_at(*SOURCE, "engine", to="oracle"),
        "sources[0].engine",
        "'oracle'",
        "`postgresql`",
    ),
    "a source's name": (
        set_at(*SOURCE, "name", to="Support"),
        "sources[0].name",
        "'Support'",
        "lowercase letters",
    ),
    "an agent's name": (set_at(*AGENT, "name", to="a_b"), "agents[0].name", "'a_b'", "single dashes"),
    "a database's name": (
        set_at(*SOURCE, "database", to="a;b"),
        "sources[0].database",
        "'a;b'",
        "underscores",
    ),
    "a table's name": (
        set_at(*TICKETS, "name", to="tickets"),
        "sources[0].tables[1].name",
        "'tickets'",
        "`schema.table`",
    ),
    "a column's type": (
        set_at(*TICKETS, "columns", "id", to="bigint); drop table x"),
        "sources[0].tables[1].columns.id",
        "'bigint); drop table x'",
        "types of the source's engine",
    ),
    "source twice": (
        lambda d: d["sources"].append(d["sources"][0]),
        "sources[1].name",
        "'support' a second time",
        "each source once",
    ),
    "table twice": (
        lambda d: d["sources"][0]["tables"].append(_table(d)),
        "sources[0].tables[4].name",
        "'public.tickets' a second time",
        "each table of a source once",
    ),
    "agent twice": (
        lambda d: d["agents"].append(_agent(d)),
        "agents[2].name",
        "'support-triage' a second time",
        "each agent once",
    ),
    "agent without inputs": (
        set_at(*AGENT, "inputs", to=[]),
        "agents[0].inputs",
        "a list of 0",
        "one or more `source.schema.table`",
    ),
    "input of an unknown source": (
        set_at(*AGENT, "inputs", 0, to="sales.public.orders"),
        "agents[0].inputs[0]",
        "'sales.public.orders'",
        "a table of a declared source: support.public.customers",
    ),
    "input of an unknown table": (
        set_at(*AGENT, "inputs", 0, to="support.public.parcels"),
        "agents[0].inputs[0]",
        "'support.public.parcels'",
        "a declared table: support.public.customers",
    ),
    "input twice": (
        lambda d: _agent(d)["inputs"].append("support.public.tickets"),
        "agents[0].inputs",
        "'support.public.tickets' 2 times",
        "each one once",
    ),
    "agent's key not in the record's": (
        set_at(*AGENT, "key", to=["id"]),
        "agents[0].key[0]",
        "'id'",
        "a key column of support.public.tickets: customer_id",
    ),
    "agent's key empty": (
        set_at(*AGENT, "key", to=[]),
        "agents[0].key",
        "a list of 0",
        "one or more columns",
    ),
    "key column twice": (
        set_at(*AGENT, "key", to=["customer_id", "customer_id"]),
        "agents[0].key",
        "'customer_id' 2 times",
        "each one once",
    ),
    "key not among columns": (
        lambda d: _table(d)["key"].append("nobody"),
        "sources[0].tables[1].key[1]",
        "'nobody'",
        "a listed column: id, customer_id",
    ),
    "primary key not among columns": (
        set_at(*TICKETS, "primary_key", to=["no"]),
        "sources[0].tables[1].primary_key[0]",
        "'no'",
        "a listed column",
    ),
    "no primary key": (
        set_at(*TICKETS, "primary_key", to=[]),
        "sources[0].tables[1].primary_key",
        "a list of 0",
        "one or more column names",
    ),
    "min over max": (
        set_at(*AGENT, "scaling", to={"parallelism_min": 5, "parallelism_max": 4}),
        "agents[0].scaling.parallelism_min",
        "5",
        "at most parallelism_max, 4",
    ),
    "more subtasks than shards": (
        set_at(*AGENT, "scaling", "parallelism_max", to=129),
        "agents[0].scaling.parallelism_max",
        "129",
        "from 1 to 128",
    ),
    "no subtasks": (
        set_at(*AGENT, "scaling", "parallelism_min", to=0),
        "agents[0].scaling.parallelism_min",
        "0",
        "from 1 to 128",
    ),
    "interval over the objective": (
        set_at("checkpoints", "interval", to="11s"),
        "checkpoints.interval",
        "11s",
        "at most recovery.max_replay, 10s",
    ),
    "interval too short": (
        set_at("checkpoints", "interval", to="10ms"),
        "checkpoints.interval",
        "'10ms'",
        "200ms or more",
    ),
    "a duration without a unit": (
        set_at("recovery", "max_replay", to=10),
        "recovery.max_replay",
        "10",
        "a duration from 1s to 1h",
    ),
    "replay too short": (
        set_at("recovery", "max_replay", to="1ms"),
        "recovery.max_replay",
        "'1ms'",
        "from 1s to 1h",
    ),
    "outage too long": (
        set_at("recovery", "max_outage", to="25h"),
        "recovery.max_outage",
        "'25h'",
        "from 1m to 24h",
    ),
    "no events": (
        set_at(*AGENT, "workload", "events_per_second", to=0),
        "agents[0].workload.events_per_second",
        "0",
        "1 or more",
    ),
    "negative state": (
        set_at(*AGENT, "workload", "state_bytes_per_key", to=-1),
        "agents[0].workload.state_bytes_per_key",
        "-1",
        "1 or more",
    ),
    "no latency": (
        without(*AGENT, "workload", "model_latency"),
        "agents[0].workload.model_latency",
        "nothing",
        "required with a model",
    ),
    "latency of zero": (
        set_at(*AGENT, "workload", "model_latency", to="0s"),
        "agents[0].workload.model_latency",
        "'0s'",
        "more than 0",
    ),
    "latency without a model": (
        without(*MODEL),
        "agents[0].workload.model_latency",
        "200ms",
        "left out for an agent without a model",
    ),
    "latency over the deadline": (
        set_at(*AGENT, "limits", "run_deadline", to="100ms"),
        "agents[0].workload.model_latency",
        "200ms",
        "less than limits.run_deadline, 100ms",
    ),
    "timeout under the latency": (
        set_at(*MODEL, "timeout", to="100ms"),
        "agents[0].model.timeout",
        "100ms",
        "more than workload.model_latency, 200ms",
    ),
    "fewer calls than subtasks": (
        lambda d: _agent(d).update(
            model=_agent(d)["model"] | {"max_concurrency": 11},
            scaling={"parallelism_min": 12, "parallelism_max": 12},
        ),
        "agents[0].model.max_concurrency",
        "11",
        "at least scaling.parallelism_min, 12",
    ),
    "entry point": (
        set_at(*AGENT, "entry_point", to="support_triage.agent.SupportTriage"),
        "agents[0].entry_point",
        "'support_triage.agent.SupportTriage'",
        "`package.module:Class`",
    ),
    "an endpoint of another scheme": (
        set_at(*MODEL, "endpoint", to="ftp://x"),
        "agents[0].model.endpoint",
        "'ftp://x'",
        "`https://` URL",
    ),
    "an endpoint in clear text": (
        set_at(*MODEL, "endpoint", to="http://models.example/v1"),
        "agents[0].model.endpoint",
        "'http://models.example/v1'",
        "of this machine (loopback)",
    ),
    "an endpoint with a call's path": (
        set_at(*MODEL, "endpoint", to="https://m.example/v1/chat/completions"),
        "agents[0].model.endpoint",
        "/chat/completions'",
        "the base URL",
    ),
    "a key in both places": (
        lambda d: _agent(d)["model"].update(endpoint="https://m.example", api_key={"env": "K", "file": "/k"}),
        "agents[0].model.api_key",
        "both env and file",
        "`{env: NAME}` or `{file: /PATH}`",
    ),
    "a key in no place": (
        lambda d: _agent(d)["model"].update(endpoint="https://m.example", api_key={}),
        "agents[0].model.api_key",
        "neither env nor file",
        "`{env: NAME}` or `{file: /PATH}`",
    ),
    "a key for the scripted model": (
        set_at(*MODEL, "api_key", to={"env": "K"}),
        "agents[0].model.api_key",
        "a key",
        "left out",
    ),
    "an endpoint that is nowhere": (
        lambda d: _agent(d)["model"].pop("endpoint"),
        "agents[0].model.endpoint",
        "nothing",
        "or `provider: bedrock` and a region",
    ),
    "a region of an OpenAI-compatible endpoint": (
        set_at(*MODEL, "region", to="eu-central-1"),
        "agents[0].model.region",
        "'eu-central-1'",
        "`provider: bedrock`",
    ),
    "a model on Bedrock without a region": (
        set_at(*MODEL, to={"provider": "bedrock", "name": "some.model"}),
        "agents[0].model.region",
        "nothing",
        "required with provider `bedrock`",
    ),
    "the scripted model on Bedrock": (
        lambda d: _agent(d)["model"].update(provider="bedrock", region="eu-central-1"),
        "agents[0].model.endpoint",
        "'scripted'",
        "left out, or a URL",
    ),
    "a key for Bedrock": (
        set_at(*MODEL, to=ON_BEDROCK | {"api_key": {"env": "K"}}),
        "agents[0].model.api_key",
        "a key",
        "boto3's own chain",
    ),
    "a bound of Bedrock's answers": (
        set_at(*MODEL, to=ON_BEDROCK | {"max_answer_bytes": 1000}),
        "agents[0].model.max_answer_bytes",
        "1000",
        "read whole",
    ),
    "an unknown provider": (
        set_at(*MODEL, "provider", to="azure"),
        "agents[0].model.provider",
        "'azure'",
        "`openai` or `bedrock`",
    ),
    "an embedding model with a call's path": (
        set_at(*AGENT, "embedding", to={"endpoint": "https://m.example/v1/embeddings", "name": "e"}),
        "agents[0].embedding.endpoint",
        "/embeddings'",
        "the base URL",
    ),
    "fewer vectors at once than subtasks": (
        lambda d: _agent(d).update(
            embedding={"endpoint": "scripted", "name": "scripted-triage", "max_concurrency": 1},
            scaling={"parallelism_min": 2, "parallelism_max": 2},
        ),
        "agents[0].embedding.max_concurrency",
        "1",
        "at least scaling.parallelism_min, 2",
    ),
    "soft bound over hard": (
        set_at(*AGENT, "limits", to={"inbox_soft_events": 90, "inbox_hard_events": 80}),
        "agents[0].limits.inbox_soft_events",
        "90",
        "at most inbox_hard_events, 80",
    ),
    "state over its limit": (
        set_at(*AGENT, "limits", to={"max_memory_bytes": 100}),
        "agents[0].workload.state_bytes_per_key",
        "4096",
        "at most limits.max_memory_bytes, 100",
    ),
    "event over the topic's bound": (
        set_at(*AGENT, "limits", to={"max_event_bytes": 2**30}),
        "agents[0].limits.max_event_bytes",
        "1073741824",
        "from 1 to 8388608",
    ),
    "unknown delivery": (
        set_at(*AGENT, "delivery", to="maybe"),
        "agents[0].delivery",
        "'maybe'",
        "`exactly-once` or `at-least-once`",
    ),
    "settings that JSON can't hold": (
        set_at(*AGENT, "settings", to={"since": [dt.date(2026, 1, 1)]}),
        "agents[0].settings.since[0]",
        "2026",
        "quote dates",
    ),
    "a slot's name too long": (
        set_at(*SOURCE, "name", to="s" * 60),
        "sources[0].name",
        "replication slot",
        "at most 63 characters",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_is_refused_at_its_path(kind: str) -> None:
    change, path, given, allowed = REFUSED[kind]
    declaration = shipped()
    change(declaration)
    with pytest.raises(DeclarationError) as caught:
        parsed(declaration)
    found = {dotted(problem.path): problem for problem in caught.value.problems}
    assert path in found
    assert given in found[path].given
    assert allowed in found[path].allowed
    assert str(caught.value).endswith("nothing was changed")


def test_topics_that_kafka_takes_for_the_same_are_refused() -> None:
    declaration = shipped()
    declaration["sources"][0]["tables"] += [
        {"name": "a_b.c", "primary_key": ["id"]},
        {"name": "a.b_c", "primary_key": ["id"]},
    ]
    with pytest.raises(DeclarationError, match=r"sources\[0\]\.tables\[5\]\.name: .*'support\.a_b\.c'"):
        parsed(declaration)


def test_every_problem_is_listed_at_once() -> None:
    declaration = shipped()
    declaration["owner"] = ""
    declaration["surces"] = []
    declaration["recovery"]["max_outage"] = "forever"
    declaration["sources"][0]["tables"][0]["key"] = ["nobody"]
    declaration["agents"][0]["scaling"]["parallelism_min"] = 9
    with pytest.raises(DeclarationError) as caught:
        parsed(declaration)
    assert {dotted(problem.path) for problem in caught.value.problems} == {
        "owner",
        "surces",
        "recovery.max_outage",
        "sources[0].tables[0].key[0]",
        "agents[0].scaling.parallelism_min",
    }
    assert "5 problems in the declaration" in str(caught.value)


def test_one_unreadable_source_does_not_make_its_inputs_undeclared() -> None:
    declaration = shipped()
    declaration["sources"][0]["engine"] = "oracle"
    with pytest.raises(DeclarationError) as caught:
        parsed(declaration)
    assert [dotted(problem.path) for problem in caught.value.problems] == ["sources[0].engine"]


@pytest.mark.parametrize(
    "model",
    [
        {"endpoint": "https://m.example", "name": "m", "api_key": "sk-secret"},
        {"endpoint": "https://user:sk-secret@m.example", "name": "m"},
        {"endpoint": "https://m.example?key=sk-secret", "name": "m"},
        {"endpoint": "https://m.example", "name": "m", "api_key": ["sk-secret"]},
        {"endpoint": "https://m.example", "name": "m", "apikey": "sk-secret"},
        {"endpoint": "https://m.example", "name": "m", "api_key": {"value": "sk-secret"}},
        {"endpoint": "https://m.example", "name": "m", "api_key": {"env": "sk-secret"}},
        {"endpoint": "https://m.example", "name": "m", "api_key": {"file": "sk-secret"}},
    ],
)
def test_an_error_shows_no_key(model: dict[str, Any]) -> None:
    declaration = shipped()
    declaration["agents"][0]["model"] = model
    with pytest.raises(DeclarationError) as caught:
        parsed(declaration)
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "Local", "a_b", "-a", "a" * 64, "a.b"])
def test_an_environments_name_is_checked(name: str) -> None:
    with pytest.raises(DeclarationError, match="the environment's name"):
        parse_environment(shipped(), "a test", name)


@pytest.mark.parametrize(
    "endpoint",
    ["scripted", "https://m.example/v1", "http://localhost:1234", "http://127.0.0.1:1/v1", "http://[::1]:1"],
)
def test_an_endpoint_is_secure_or_stays_on_this_machine(endpoint: str) -> None:
    declaration = shipped()
    declaration["agents"][0]["model"]["endpoint"] = endpoint
    assert parsed(declaration).agents[0].model is not None
