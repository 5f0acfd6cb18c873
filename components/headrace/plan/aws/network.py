"""The VPC: addresses, subnets, NAT gateways."""

from __future__ import annotations

import ipaddress

from headrace.environment.model import Environment
from headrace.plan.aws.bedrock import on_bedrock
from headrace.plan.aws.model import NetworkPlan
from headrace.plan.because import Because, because, build

USUAL_CIDR = "10.0.0.0/16"
SUBNET_BITS = 4
"""A VPC is cut into 16: private subnets from the first on, public ones, small, from the last."""
PUBLIC_BITS = 8
PRIVATE_SERVICES = (
    "ecr.api",
    "ecr.dkr",
    "eks",
    "eks-auth",
    "kms",
    "logs",
    "secretsmanager",
    "sts",
)
"""Interface endpoints: what pods and connectors call, so that it never leaves the VPC."""
MODEL_SERVICES = ("bedrock-runtime",)


def network(environment: Environment) -> Because[NetworkPlan]:
    """A new VPC, or the one that is there."""
    declared, zones = environment.aws.network, environment.aws.zones
    models = sum(on_bedrock(agent) for agent in environment.agents)
    bedrock = because(models > 0, f"{models} of {len(environment.agents)} agents have a model there")
    if declared.vpc_id:
        there = f"declared: {declared.vpc_id} is there, and its routes are its own"
        return build(
            NetworkPlan,
            vpc_id=because(declared.vpc_id, "declared as substrate.network.vpc_id"),
            cidr=because(None, there),
            private_subnets=because(declared.private_subnet_ids, f"declared, 1 for each of {zones} zones"),
            public_subnets=because((), there),
            nat_gateways=because(0, there),
            bedrock=bedrock,
        )
    cidr = declared.cidr or USUAL_CIDR
    blocks = ipaddress.IPv4Network(cidr, strict=False)
    private = list(blocks.subnets(SUBNET_BITS))
    public = list(private[-1].subnets(PUBLIC_BITS - SUBNET_BITS))
    return build(
        NetworkPlan,
        vpc_id=because(None, "0 VPCs are declared: one is made"),
        cidr=because(cidr, f"declared, or {USUAL_CIDR}"),
        private_subnets=because(
            tuple(map(str, private[:zones])),
            f"1 for each of {zones} zones, 1/{2**SUBNET_BITS} of the VPC each: a pod has an address",
        ),
        public_subnets=because(
            tuple(map(str, public[:zones])), f"1 for each of {zones} zones, for NAT gateways and nothing else"
        ),
        nat_gateways=because(
            1 if declared.nat == "one" else zones, f"declared as substrate.network.nat {declared.nat}"
        ),
        bedrock=bedrock,
    )
