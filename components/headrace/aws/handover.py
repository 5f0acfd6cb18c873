"""What the platform has to know of its foundation: left in a parameter by the one, read by the other.

The two have states of their own, in places that do not see each other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from headrace.errors import HeadraceError

FOLDER = "/headrace"


@dataclass(frozen=True, kw_only=True)
class Handover:
    """The network that is there, and the runner that deploys into it."""

    vpc_id: pulumi.Output[str]
    private_subnet_ids: list[pulumi.Output[str]]
    runner_role_arn: pulumi.Output[str]
    runner_security_group_id: pulumi.Output[str]


def parameter(environment: str) -> str:
    """Name of the parameter of an environment's foundation."""
    return f"{FOLDER}/{environment}/foundation"


def handover(environment: str, zones: int, opts: pulumi.InvokeOutputOptions) -> Handover:
    """What the foundation left; in a preview, before there is one, nothing of it is known.

    An update without a foundation fails with what has to be done first (HeadraceError).
    """
    name = parameter(environment)
    # A search finds nothing where a look-up by name would fail, and with it the preview.
    found = aws.ssm.get_parameters_by_path_output(path=name.rpartition("/")[0], opts=opts)
    told = pulumi.Output.all(found.names, found.values).apply(lambda known: _told(environment, *known))

    def each(key: str, at: int | None = None) -> pulumi.Output[Any]:
        return told.apply(lambda all_of_it: all_of_it[key] if at is None else all_of_it[key][at])

    return Handover(
        vpc_id=each("vpc_id"),
        private_subnet_ids=[each("private_subnet_ids", at) for at in range(zones)],
        runner_role_arn=each("runner_role_arn"),
        runner_security_group_id=each("runner_security_group_id"),
    )


def _told(environment: str, names: list[str], values: list[str]) -> Any:
    by_name = dict(zip(names, values, strict=True))
    text = by_name.get(parameter(environment))
    if text is not None:
        return json.loads(text)
    if pulumi.runtime.is_dry_run():
        return pulumi.UNKNOWN
    raise HeadraceError(
        f"environment {environment}: given no foundation, as there is no parameter {parameter(environment)}; "
        f"allowed: after `pulumi up --stack {environment}-foundation`"
    )
