"""Changes of single facts of the shipped development environment, each as a person would make it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Declaration = dict[str, Any]
Change = Callable[[Declaration], None]
OTHER = f"sha256:{'1' * 64}"


def _substrate(**facts: Any) -> Change:
    return lambda declaration: declaration["substrate"].update(facts)


def _within(part: str, **facts: Any) -> Change:
    """Of a part of the substrate."""
    return lambda declaration: declaration["substrate"][part].update(facts)


def _top(**facts: Any) -> Change:
    return lambda declaration: declaration.update(facts)


def _recovery(**facts: Any) -> Change:
    return lambda declaration: declaration["recovery"].update(facts)


def _agent(part: str, **facts: Any) -> Change:
    """Of the first agent."""
    return lambda declaration: declaration["agents"][0].setdefault(part, {}).update(facts)


def _admin(declaration: Declaration) -> None:
    declaration["substrate"]["access"]["admins"].append("arn:aws:iam::111122223333:role/on-call")


def _viewer(declaration: Declaration) -> None:
    del declaration["substrate"]["access"]["viewers"]


def _database(**facts: Any) -> Change:
    return lambda declaration: declaration["substrate"]["databases"][0].update(facts)


def _office(declaration: Declaration) -> None:
    declaration["substrate"]["endpoint"]["cidrs"].append("203.0.113.0/24")


def _table(declaration: Declaration) -> None:
    table = {"name": "public.refunds", "primary_key": ["id"], "key": ["order_id"]}
    declaration["sources"][0]["tables"].append(table)


def _another_agent(declaration: Declaration) -> None:
    declaration["agents"].append(declaration["agents"][1] | {"name": "order-fraud"})


def _one_agent_less(declaration: Declaration) -> None:
    declaration["agents_removed"] = [declaration["agents"].pop(1)["name"]]


def _collector() -> Change:
    return _substrate(collector_image=f"registry.example/opentelemetry-collector-contrib@{OTHER}")


def _operator() -> Change:
    return _within("operator", image=f"registry.example/flink-kubernetes-operator@{OTHER}")


CHANGES: dict[str, Change] = {
    "a database moves": _database(host="support-new.db.example"),
    "a database's port": _database(port=5433),
    "a group of a database": _database(security_group_id="sg-00000000000000000"),
    "a longer outage to survive": _recovery(max_outage="30m"),
    "a longer replay": _recovery(max_replay="60s"),
    "a model of another name": _agent("model", name="another-model"),
    "a slower model": _agent("workload", model_latency="1600ms"),
    "a table more": _table,
    "a gateway for each zone": _within("network", nat="per-zone"),
    "an administrator more": _admin,
    "an agent less": _one_agent_less,
    "an agent more": _another_agent,
    "an agent's setting": _agent("settings", tone="kind"),
    "another block may ask the API": _office,
    "another centre of cost": _top(cost_centre="4712"),
    "another collector": _collector(),
    "another image of agents": _substrate(agents_image=OTHER),
    "another image of the operator": _operator(),
    "another owner": _top(owner="orders"),
    "capacity on demand": _substrate(spot=False),
    "data is protected": _substrate(protect=True),
    "logs are kept longer": _substrate(log_days=30),
    "more keys": _agent("workload", keys=1_000_000),
    "more state for each key": _agent("workload", state_bytes_per_key=16_384),
    "more subtasks": _agent("scaling", parallelism_max=4),
    "nobody looks on": _viewer,
    "somebody is told of alarms": _substrate(alarm_emails=["oncall@example.com"]),
    "ten times the events": _agent("workload", events_per_second=50),
}
