"""Plans of the shipped declaration on AWS, for components to be built of."""

from __future__ import annotations

from typing import Any

from headrace.plan import AwsPlan
from headrace.plan.aws import aws_plan
from tests.unit.environment.declarations import on_aws, parsed


def planned(**substrate: Any) -> AwsPlan:
    return aws_plan(parsed(on_aws(**substrate)))
