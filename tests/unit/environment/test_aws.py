"""The AWS substrate of a declaration: its defaults, and what can't both hold."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.environment import DeclarationError
from headrace.environment.problem import dotted
from headrace.errors import HeadraceError
from tests.unit.environment.declarations import on_aws, parsed, shipped

VPC = "vpc-0123456789abcdef0"
SUBNETS = [f"subnet-0123456789abcdef{at}" for at in range(3)]


def test_defaults_are_safe() -> None:
    aws = parsed(on_aws()).aws
    assert (aws.endpoint.access, aws.protect, aws.spot, aws.zones) == ("private", True, False, 3)
    assert (aws.kafka, aws.network.nat) == ("express", "per-zone")


def test_a_vpc_that_is_there_is_taken() -> None:
    aws = parsed(on_aws(network={"vpc_id": VPC, "private_subnet_ids": SUBNETS})).aws
    assert aws.network.private_subnet_ids == tuple(SUBNETS)


def with_model(**model: Any) -> dict[str, Any]:
    declaration = on_aws()
    declaration["agents"][0]["model"] |= model
    return declaration


REFUSED: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "no region": (
        shipped() | {"substrate": {"kind": "aws"}},
        "substrate.region",
        "nothing",
        "`eu-central-1`",
    ),
    "no kind": (shipped() | {"substrate": {"region": "x"}}, "substrate.kind", "nothing", "`local` or `aws`"),
    "a field of the other kind": (
        on_aws(port_base=17000),
        "substrate.port_base",
        "an unknown field",
        "kind, region, zones",
    ),
    "one zone": (on_aws(zones=1), "substrate.zones", "1", "2 or 3"),
    "express in 2 zones": (on_aws(zones=2), "substrate.zones", "2", "3, as kafka is `express`"),
    "too few subnets": (
        on_aws(network={"vpc_id": VPC, "private_subnet_ids": SUBNETS[:2]}),
        "substrate.network.private_subnet_ids",
        f"2 subnets of {VPC}",
        "one for each of substrate.zones, 3",
    ),
    "subnets of no VPC": (
        on_aws(network={"private_subnet_ids": SUBNETS}),
        "substrate.network.private_subnet_ids",
        "3 subnets of no VPC",
        "with their vpc_id",
    ),
    "addresses for a VPC that is there": (
        on_aws(network={"vpc_id": VPC, "private_subnet_ids": SUBNETS, "cidr": "10.0.0.0/16"}),
        "substrate.network.cidr",
        "10.0.0.0/16",
        f"left out with vpc_id {VPC}",
    ),
    "a public endpoint for nobody": (
        on_aws(endpoint={"access": "public"}),
        "substrate.endpoint.cidrs",
        "0 blocks",
        "access is `public`",
    ),
    "a public endpoint for everybody": (
        on_aws(endpoint={"access": "public", "cidrs": ["0.0.0.0/0"]}),
        "substrate.endpoint.cidrs[0]",
        "0.0.0.0/0",
        "a block of your own",
    ),
    "a private endpoint for somebody": (
        on_aws(endpoint={"cidrs": ["198.51.100.0/24"]}),
        "substrate.endpoint.cidrs",
        "1 blocks",
        "access is `private`",
    ),
    "the scripted model": (
        with_model(endpoint="scripted", api_key=None),
        "agents[0].model.endpoint",
        "'scripted'",
        "substrate.kind is `aws`",
    ),
    "a model on this machine": (
        with_model(endpoint="http://localhost:1234"),
        "agents[0].model.endpoint",
        "localhost",
        "an `https://` URL",
    ),
    "a key in a file": (
        with_model(api_key={"file": "/run/key"}),
        "agents[0].model.api_key",
        "a file",
        "`{env: NAME}`",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_is_refused_at_its_path(kind: str) -> None:
    declaration, path, given, allowed = REFUSED[kind]
    with pytest.raises(DeclarationError) as caught:
        parsed(declaration)
    found = {dotted(problem.path): problem for problem in caught.value.problems}
    assert path in found
    assert given in found[path].given
    assert allowed in found[path].allowed


def test_what_needs_this_machine_says_so() -> None:
    with pytest.raises(HeadraceError, match=r"is `aws`: this needs substrate\.kind `local`"):
        _ = parsed(on_aws()).local
    with pytest.raises(HeadraceError, match=r"is `local`: this needs substrate\.kind `aws`"):
        _ = parsed(shipped()).aws
