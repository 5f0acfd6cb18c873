"""Declarations for tests: the shipped one as data, and a strategy that makes others."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from headrace.environment import CONFIG_KEY, Environment, parse_environment
from headrace.environment.model import CALLS_PER_SUBTASK, EVENTS_PER_SUBTASK, SHARDS

REPOSITORY = Path(__file__).resolve().parents[3]
SHIPPED = REPOSITORY / "stacks" / "Pulumi.local.yaml"


def shipped() -> dict[str, Any]:
    """The shipped declaration, to be changed at will."""
    declaration = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["config"][CONFIG_KEY]
    assert isinstance(declaration, dict)
    return copy.deepcopy(declaration)


def parsed(declaration: dict[str, Any]) -> Environment:
    return parse_environment(declaration, "a test", "local")


@st.composite
def environments(draw: st.DrawFn) -> Environment:
    """Any well-formed environment: one to three sources, one to four agents."""
    sources = [_source(draw, at) for at in range(draw(st.integers(1, 3)))]
    agents = [_agent(draw, at, sources) for at in range(draw(st.integers(1, 4)))]
    max_replay = draw(st.integers(1_000, 3_600_000))
    declaration = {
        "owner": "someone",
        "cost_centre": "somewhere",
        "substrate": {
            "kind": "local",
            "port_base": draw(st.integers(1024, 65436)),
            "taskmanagers": draw(st.integers(1, 16)),
        },
        "sources": sources,
        "agents": agents,
        "recovery": {
            "max_replay": f"{max_replay}ms",
            "max_outage": f"{draw(st.integers(60, 86_400))}s",
            "max_recovery": f"{draw(st.integers(30, 900))}s",
        },
    }
    if draw(st.booleans()):
        declaration["checkpoints"] = {"interval": f"{draw(st.integers(200, max_replay))}ms"}
    return parsed(declaration)


def _source(draw: st.DrawFn, at: int) -> dict[str, Any]:
    tables = [
        {
            "name": f"public.t{number}",
            "columns": {"id": "bigint", "owner_id": "bigint"} if draw(st.booleans()) else {},
            "primary_key": ["id"],
            "key": draw(st.sampled_from([["owner_id"], ["owner_id", "id"]])),
        }
        for number in range(draw(st.integers(1, 3)))
    ]
    source: dict[str, Any] = {
        "name": f"source-{at}",
        "engine": "postgresql",
        "database": f"db_{at}",
        "tables": tables,
    }
    told_apart: list[str] = [str(table["name"]) for table in tables if "id" in table["key"]]
    has_backfill = draw(st.booleans())
    if told_apart and has_backfill:
        conditions: list[dict[str, str]] = [{}, {told_apart[0]: "id < 7"}]
        where = draw(st.sampled_from(conditions))
        source["backfills"] = [{"id": "again", "tables": told_apart, "where": where}]
    return source


def _agent(draw: st.DrawFn, at: int, sources: list[dict[str, Any]]) -> dict[str, Any]:
    """An agent whose bounds carry its load; what they can't carry is refused, and tested elsewhere."""
    inputs = [f"{source['name']}.{table['name']}" for source in sources for table in source["tables"]]
    least = draw(st.integers(1, SHARDS))
    most = draw(st.integers(least, SHARDS))
    keys = draw(st.integers(least, 10**9))
    workload: dict[str, Any] = {
        "events_per_second": draw(st.integers(1, EVENTS_PER_SUBTASK * most)),
        "keys": keys,
        "state_bytes_per_key": draw(st.integers(1, 10**7)),
    }
    agent: dict[str, Any] = {
        "name": f"agent-{at}",
        "entry_point": "some.module:Agent",
        "inputs": draw(st.lists(st.sampled_from(inputs), min_size=1, unique=True)),
        "key": ["owner_id"],
        "delivery": draw(st.sampled_from(["exactly-once", "at-least-once"])),
        "workload": workload,
        "scaling": {"parallelism_min": least, "parallelism_max": most},
        "settings": draw(st.sampled_from([{}, {"a": 1, "b": {"c": [1, "2"]}, "d": {}}])),
    }
    if draw(st.booleans()):
        _add_model(draw, agent, most_at_a_time=min(CALLS_PER_SUBTASK * least, keys))
    return agent


def _add_model(draw: st.DrawFn, agent: dict[str, Any], most_at_a_time: int) -> None:
    """A model whose calls in flight stay within ``most_at_a_time``."""
    workload = agent["workload"]
    calls = draw(st.sampled_from([0.25, 1, 3]))
    latency_ms = draw(st.integers(1, min(600_000, int(most_at_a_time * 1_000 / calls))))
    rate = draw(st.integers(1, max(1, int(most_at_a_time * 1_000 / calls / latency_ms))))
    workload["model_latency"] = f"{latency_ms}ms"
    workload["events_per_second"] = rate = min(rate, workload["events_per_second"])
    if calls != 1:
        workload["model_calls_per_event"] = calls
    endpoint = draw(st.sampled_from(["scripted", "https://models.example/v1"]))
    agent["model"] = {"endpoint": endpoint, "name": "some-model"}
    if endpoint != "scripted":
        agent["model"]["api_key"] = draw(st.sampled_from([{"env": "KEY"}, {"file": "/run/key"}]))
    if draw(st.booleans()):
        agent["model"]["requests_per_minute"] = draw(st.integers(math.ceil(60 * rate * calls), 10**9))


DIGEST = f"sha256:{'0' * 64}"
AWS: dict[str, Any] = {
    "kind": "aws",
    "region": "eu-central-1",
    "operator": {
        "chart": "charts/flink-kubernetes-operator-1.15.0.tgz",
        "image": f"registry.example/flink-kubernetes-operator@{DIGEST}",
    },
    "plugin": {"archive": "debezium-postgres.zip", "sha256": "0" * 64},
    "collector_image": f"registry.example/collector@{DIGEST}",
    "agents_image": DIGEST,
    "access": {"admins": ["arn:aws:iam::111122223333:role/deployer"]},
}


def database(source: str) -> dict[str, Any]:
    """Where the database of a source is, on AWS."""
    return {
        "source": source,
        "host": f"{source}.db.example",
        "security_group_id": "sg-0123456789abcdef0",
        "secret_arn": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:headrace/support-AbCdEf",
        "secret_key_arn": "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    }


def on_aws(**substrate: Any) -> dict[str, Any]:
    """The shipped declaration on AWS, with a model that can be reached from there."""
    declaration = shipped()
    declaration["substrate"] = AWS | {"databases": [database("support")]} | substrate
    for agent in declaration["agents"]:
        agent["model"] |= {"endpoint": "https://models.example/v1", "api_key": {"env": "MODEL_KEY"}}
    return declaration


def _alone(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "network": draw(st.sampled_from([{}, {"nat": "one"}, {"cidr": "10.9.0.0/16"}])),
        "endpoint": draw(st.sampled_from([{}, {"access": "public", "cidrs": ["198.51.100.0/24"]}])),
    }


def _shared(draw: st.DrawFn, zones: int) -> dict[str, Any]:
    """A network, and a cluster or none, that are there."""
    subnets = [f"subnet-{at:017x}" for at in range(zones)]
    return {
        "network": {"vpc_id": "vpc-0123456789abcdef0", "private_subnet_ids": subnets},
        "cluster": draw(st.sampled_from([{}, {"existing": "shared"}])),
    }


@st.composite
def aws_environments(draw: st.DrawFn) -> Environment:
    """Any well-formed environment on AWS."""
    local = draw(environments())
    zones = draw(st.sampled_from([2, 3]))
    substrate = AWS | {
        "databases": [database(source.name) for source in local.sources],
        "zones": zones,
        "kafka": draw(st.sampled_from(["express", "standard"] if zones == 3 else ["standard"])),
        "spot": draw(st.booleans()),
        "protect": draw(st.booleans()),
        **(_shared(draw, zones) if draw(st.booleans()) else _alone(draw)),
    }
    # Every field as it would be written: what was left out is left out again.
    declaration = local.model_dump(mode="json", exclude={"name"}, exclude_none=True, exclude_defaults=True)
    for source in declaration["sources"]:
        source.pop("backfills", None)
    for agent in declaration["agents"]:
        if "model" in agent:
            agent["model"] |= {"endpoint": "https://models.example/v1", "api_key": {"env": "KEY"}}
    return parsed(declaration | {"substrate": substrate})
