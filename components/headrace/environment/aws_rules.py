"""Facts of the AWS substrate that can't both hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from headrace.environment.parts import Parts, Placed
from headrace.environment.problem import Problem
from headrace.environment.substrates import AwsSubstrate
from headrace.environment.types import SCRIPTED, is_loopback

EXPRESS_ZONES = 3


def express_without_its_zones(parts: Parts) -> Iterator[Problem]:
    """`kafka: express` has its brokers in 3 zones."""
    for aws in _aws(parts):
        if aws.value.kafka == "express" and aws.value.zones < EXPRESS_ZONES:
            yield aws.problem(
                "zones", given=str(aws.value.zones), allowed=f"{EXPRESS_ZONES}, as kafka is `express`"
            )


def vpc_without_its_subnets(parts: Parts) -> Iterator[Problem]:
    """A VPC that is there comes with a private subnet in each of `zones`, and without `cidr`."""
    for aws in _aws(parts):
        network, zones = aws.value.network, aws.value.zones
        subnets = len(network.private_subnet_ids)
        if network.vpc_id and subnets != zones:
            yield aws.problem(
                "network",
                "private_subnet_ids",
                given=f"{subnets} subnets of {network.vpc_id}",
                allowed=f"one for each of substrate.zones, {zones}",
            )
        if network.vpc_id and network.cidr:
            yield aws.problem(
                "network", "cidr", given=network.cidr, allowed=f"left out with vpc_id {network.vpc_id}"
            )
        if not network.vpc_id and subnets:
            yield aws.problem(
                "network",
                "private_subnet_ids",
                given=f"{subnets} subnets of no VPC",
                allowed="with their vpc_id, or left out: a new VPC gets its own",
            )


def endpoint_access_and_its_cidrs(parts: Parts) -> Iterator[Problem]:
    """A public endpoint names who may reach it, not everybody; a private one names nobody."""
    for aws in _aws(parts):
        access, cidrs = aws.value.endpoint.access, aws.value.endpoint.cidrs
        if access == "public" and not cidrs:
            yield aws.problem("endpoint", "cidrs", given="0 blocks", allowed="1 or more: access is `public`")
        if access == "private" and cidrs:
            yield aws.problem(
                "endpoint", "cidrs", given=f"{len(cidrs)} blocks", allowed="0: access is `private`"
            )
        for at, cidr in enumerate(cidrs):
            if cidr.endswith("/0"):
                yield aws.problem(
                    "endpoint", "cidrs", at, given=cidr, allowed="a block of your own, not everybody"
                )


def model_of_one_machine_on_aws(parts: Parts) -> Iterator[Problem]:
    """On AWS a model is reached over the network, and its key is no file of this machine."""
    if not list(_aws(parts)):
        return
    for _agent, model in parts.models:
        endpoint, key = model.value.endpoint, model.value.api_key
        if endpoint == SCRIPTED or is_loopback(urlsplit(endpoint).hostname or ""):
            yield model.problem(
                "endpoint", given=repr(endpoint), allowed="an `https://` URL, as substrate.kind is `aws`"
            )
        if key is not None and key.file is not None:
            yield model.problem(
                "api_key", given="a file", allowed="`{env: NAME}`, as substrate.kind is `aws`"
            )


def _aws(parts: Parts) -> Iterator[Placed[AwsSubstrate]]:
    if parts.substrate is not None and isinstance(parts.substrate.value, AwsSubstrate):
        yield Placed(parts.substrate.path, parts.substrate.value)


RULES: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    express_without_its_zones,
    vpc_without_its_subnets,
    endpoint_access_and_its_cidrs,
    model_of_one_machine_on_aws,
)
