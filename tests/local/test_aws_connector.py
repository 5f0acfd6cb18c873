"""What MSK Connect would be told of a source is what Kafka Connect here finds valid, but for the address.

Connect's own validation asks the connector's class, which looks into the database.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from headrace.environment import load_environment
from headrace.plan.aws import aws_plan
from tests.pipeline.plugin import Pipeline

STACKS = Path(__file__).parents[2] / "stacks"
OF_THE_PLACE = (
    "database.hostname",
    "database.port",
    "database.user",
    "database.password",
    "database.dbname",
    "database.sslmode",
)
"""Where the database is and how it is logged in to."""


def there(environment: str) -> dict[str, Any]:
    (source,) = aws_plan(load_environment(STACKS / f"Pulumi.{environment}.yaml")).sources
    return dict(source.connector_config)


def complaints(pipeline: Pipeline, settings: dict[str, Any]) -> dict[str, list[str]]:
    """Setting -> what is wrong with it."""
    stack = pipeline.stack
    running = stack.rest(stack.connect_url, f"/connectors/{stack.plan.sources[0].connector}/config")
    told = {key: value for key, value in settings.items() if key not in OF_THE_PLACE}
    told |= {key: running[key] for key in OF_THE_PLACE if key in running} | {"name": "told-by-aws"}
    plugin = str(told["connector.class"]).rpartition(".")[2]
    url = f"{stack.connect_url}/connector-plugins/{plugin}/config/validate"
    answer = httpx.put(url, json=told, timeout=60, trust_env=False).raise_for_status().json()
    found = {each["value"]["name"]: each["value"]["errors"] for each in answer["configs"]}
    return {name: errors for name, errors in found.items() if errors}


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_connect_takes_what_a_stack_on_aws_tells_it(pipeline: Pipeline, environment: str) -> None:
    assert complaints(pipeline, there(environment)) == {}


def test_connect_refuses_what_is_wrong(pipeline: Pipeline) -> None:
    broken = there("prod") | {"snapshot.mode": "sometimes", "heartbeat.interval.ms": "often"}
    assert complaints(pipeline, broken).keys() == {"snapshot.mode", "heartbeat.interval.ms"}
