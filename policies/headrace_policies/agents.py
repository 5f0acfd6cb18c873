"""Agents: what bounds a run, and how a model is reached."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from headrace_policies.agent_specs import CONFIG_MAP, HOLDERS, specs_in
from headrace_policies.nodes import Node
from headrace_policies.remedies import changed
from headrace_policies.rule import Declared, Option, Rule
from headrace_policies.stacks import Case

BOUNDS = {
    "deadline": ("limits.run_deadline_ms", "a run may go on for ever"),
    "rateLimit": ("model.requests_per_minute", "calls of the model are not limited"),
    "budget": ("model.budget", "the agent can spend without end"),
    "deadLetters": ("outputs.dead_letters", "what can't be decided has nowhere to go"),
}
"""Option -> where a specification holds that bound, and what goes wrong without; of the model it is asked of
each of its fallbacks, too."""
OF_A_MODEL = "model."

GOOD_SPEC: Mapping[str, Any] = {
    "name": "orders",
    "entry_point": "orders.agent:Orders",
    "inputs": [{"topic": "orders.public.orders", "table": "public.orders"}],
    "outputs": {"decisions": "orders.decisions", "dead_letters": "orders.dead-letters"},
    "kafka": {"transaction_timeout_ms": 600_000},
    "limits": {"run_deadline_ms": 60_000},
    "model": {
        "endpoint": "https://models.example.com/v1",
        "api_key_file": "/secrets/model/api-key",
        "requests_per_minute": 600,
        "budget": {"agent": {"microdollars": 50_000_000}, "at_limit": "wait"},
    },
}


def config_map(*path: str, value: object = None) -> tuple[Declared, ...]:
    """A ConfigMap with the good specification, one value of it changed."""
    spec = changed(GOOD_SPEC, path, value) if path else GOOD_SPEC
    return (Declared(CONFIG_MAP, {"metadata": {"name": "orders"}, "data": {"agent.json": json.dumps(spec)}}),)


def _bounds(case: Case) -> Iterator[str]:
    for spec in specs_in(case.resource):
        for option, (_, without) in BOUNDS.items():
            path = case.config[option]
            bound = path.removeprefix(OF_A_MODEL)
            holders = [spec] if bound == path else _chat_models(spec)
            for node in (holder.at(*bound.split(".")) for holder in holders):
                if not node.is_set:
                    yield node.fault(f"agent {spec.at('name').text}: {without}")


def _chat_models(spec: Node) -> list[Node]:
    """The model, where there is one, and its fallbacks: each is called, and billed, by itself."""
    model = spec.at("model")
    return [model, *model.at("fallbacks").items] if model.is_set else []


def _model(case: Case) -> Iterator[str]:
    for spec in specs_in(case.resource):
        embedding = spec.at("embedding")
        for model in (*_chat_models(spec), *([embedding] if embedding.is_set else [])):
            yield from _reached(model)


def _reached(model: Node) -> Iterator[str]:
    endpoint = model.at("endpoint")
    url = urlsplit(endpoint.text)
    if not endpoint.is_set or _is_loopback(url.hostname or ""):
        return
    if url.scheme != "https":
        yield endpoint.fault("prompts and credentials cross a network in clear text; it has to be https")
    key = model.at("api_key_file")
    if not key.is_set:
        yield key.fault("the model's credentials do not come from a mounted secret")
    for clear in ("api_key", "token"):
        node = model.at(clear)
        if node.is_set:
            yield node.fault("a credential is in the specification; mount it from a secret", hide=True)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


RULES = (
    Rule(
        id="HR-AGENT-1",
        title="Every agent has a deadline, a rate limit, a budget and a topic of dead letters",
        severity="high",
        governs=HOLDERS,
        decides=("data", "agent.json"),
        absent_is_fault=False,
        why="An agent without bounds can wait without end, spend without end, or drop what it can't decide.",
        fix="Declare the bound that is named.",
        judge=_bounds,
        options={name: Option({"type": "string"}, path) for name, (path, _) in BOUNDS.items()},
        fails=config_map("model", "budget"),
        passes=config_map(),
    ),
    Rule(
        id="HR-AGENT-2",
        title="A model's credentials come from a secret, and it is reached by TLS outside of loopback",
        severity="critical",
        governs=HOLDERS,
        decides=("data", "agent.json"),
        absent_is_fault=False,
        why="Prompts hold customers' data; a key in a ConfigMap is read by everyone who may list it.",
        fix="Use an https endpoint, and mount the key: `api_key_file`.",
        judge=_model,
        fails=config_map("model", "endpoint", value="http://models.example.com/v1"),
        passes=config_map(),
    ),
)
