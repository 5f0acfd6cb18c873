"""What a network is made of: a new VPC's blocks, or one that is there."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from headrace.aws.tags import Tags
from headrace.errors import HeadraceError

ZONES = (2, 3)


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """A new VPC.

    Raises:
        HeadraceError: the blocks do not fit each other, or the number of NAT gateways does not fit the zones.
    """

    region: str
    cidr: str
    private_subnets: Sequence[str]
    """A block for each zone; pods, brokers and endpoints are there."""
    public_subnets: Sequence[str]
    """A block for each zone; NAT gateways are there, and nothing else."""
    nat_gateways: int
    """One, or one for each zone."""
    log_days: int
    """How long flow logs are kept."""
    tags: Tags
    bedrock: bool = False
    """Whether an agent's model is on Bedrock, which then is called within the VPC."""

    def __post_init__(self) -> None:
        zones = len(self.private_subnets)
        if zones not in ZONES:
            raise HeadraceError(f"network: given {zones} private subnets; allowed: 2 or 3, one for each zone")
        if len(self.public_subnets) != zones:
            raise HeadraceError(
                f"network: given {len(self.public_subnets)} public subnets; allowed: {zones}, "
                "one for each zone"
            )
        if self.nat_gateways not in (1, zones):
            raise HeadraceError(
                f"network: given {self.nat_gateways} NAT gateways; allowed: 1, or {zones}, one for each zone"
            )
        _refuse_blocks_that_do_not_fit(self.cidr, (*self.private_subnets, *self.public_subnets))


@dataclass(frozen=True, kw_only=True)
class ExistingNetworkArgs:
    """A VPC that is there; its routes, endpoints and flow logs are its owner's.

    Raises:
        HeadraceError: there is not one subnet for each of two or three zones.
    """

    vpc_id: str
    private_subnet_ids: Sequence[str]

    def __post_init__(self) -> None:
        if (given := len(set(self.private_subnet_ids))) not in ZONES:
            raise HeadraceError(
                f"network {self.vpc_id}: given {given} private subnets; allowed: 2 or 3, one for each zone"
            )


def _refuse_blocks_that_do_not_fit(cidr: str, blocks: Sequence[str]) -> None:
    try:
        whole, parts = ipaddress.IPv4Network(cidr), [ipaddress.IPv4Network(block) for block in blocks]
    except ValueError as invalid:
        raise HeadraceError(f"network: {invalid}; allowed: IPv4 blocks such as 10.0.0.0/16") from invalid
    for part in parts:
        if not part.subnet_of(whole):
            raise HeadraceError(f"network: given subnet {part}; allowed: blocks within the VPC's, {whole}")
    for one, other in combinations(parts, 2):
        if one.overlaps(other):
            raise HeadraceError(f"network: given subnets {one} and {other}, which overlap; allowed: apart")
