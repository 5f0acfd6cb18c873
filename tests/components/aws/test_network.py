"""The network: what is made of a declared VPC, and that nothing is made of one that is there."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from headrace.aws import ExistingNetworkArgs, Network, NetworkArgs
from headrace.errors import HeadraceError
from headrace.plan.aws.network import MODEL_SERVICES, PRIVATE_SERVICES
from tests.components.aws.cloud import (
    ACCOUNT,
    REGION,
    TAGS,
    arn,
    assert_house_rules,
    built,
    inputs,
    kinds,
    statements,
)
from tests.components.recording import Registered

DECLARED: dict[str, Any] = {
    "region": REGION,
    "cidr": "10.0.0.0/16",
    "private_subnets": ["10.0.0.0/20", "10.0.16.0/20", "10.0.32.0/20"],
    "public_subnets": ["10.0.240.0/24", "10.0.241.0/24", "10.0.242.0/24"],
    "nat_gateways": 3,
    "log_days": 30,
    "tags": TAGS,
}
TWO_ZONES = {key: value[:2] for key, value in DECLARED.items() if key.endswith("subnets")}
SUBNET, ROUTE = "aws:ec2/subnet:Subnet", "aws:ec2/route:Route"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"


def network(**changed: Any) -> Registered:
    return built(lambda: Network("dev", NetworkArgs(**DECLARED | changed)))


@pytest.mark.parametrize(
    "changed", [{}, {"nat_gateways": 1}, TWO_ZONES | {"nat_gateways": 2}, {"bedrock": True}]
)
def test_exactly_these_resources(changed: dict[str, Any]) -> None:
    args = DECLARED | changed
    zones, nats = len(args["private_subnets"]), args["nat_gateways"]
    services = len(PRIVATE_SERVICES) + (len(MODEL_SERVICES) if args.get("bedrock") else 0)
    stack = network(**changed)
    assert kinds(stack) == Counter(
        {
            "headrace:aws:Network": 1,
            "headrace:aws:FlowLogs": 1,
            "aws:ec2/vpc:Vpc": 1,
            "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": 1,
            SUBNET: 2 * zones,
            "aws:ec2/internetGateway:InternetGateway": 1,
            "aws:ec2/eip:Eip": nats,
            "aws:ec2/natGateway:NatGateway": nats,
            "aws:ec2/routeTable:RouteTable": zones + 1,
            ROUTE: zones + 1,
            "aws:ec2/routeTableAssociation:RouteTableAssociation": 2 * zones,
            ENDPOINT: services + 1,
            "aws:ec2/securityGroup:SecurityGroup": 1,
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": 1,
            "aws:cloudwatch/logGroup:LogGroup": 1,
            "aws:iam/role:Role": 1,
            "aws:iam/rolePolicy:RolePolicy": 1,
            "aws:ec2/flowLog:FlowLog": 1,
        }
    )
    assert_house_rules(stack, "dev")


def test_subnets_are_one_to_a_zone_give_no_public_address_and_stay_where_they_are() -> None:
    stack = network()
    for kind in ("private", "public"):
        for at, block in enumerate(DECLARED[f"{kind}_subnets"]):
            made = inputs(stack, SUBNET, f"dev-{kind}-{at}")
            assert made["cidrBlock"] == block
            assert made["availabilityZone"] == f"{REGION}{'abc'[at]}"
            assert made["mapPublicIpOnLaunch"] is False
            assert stack[f"{SUBNET} dev-{kind}-{at}"]["ignored"] == ["availabilityZone"]


@pytest.mark.parametrize("nats", [1, 3])
def test_only_public_subnets_have_a_way_in_and_private_ones_go_out_by_nat(nats: int) -> None:
    stack = network(nat_gateways=nats)
    routes = {key.split()[1]: found["inputs"] for key, found in stack.items() if key.startswith(f"{ROUTE} ")}
    assert routes.pop("dev-public")["gatewayId"] == "dev-internet"
    assert {name: route["natGatewayId"] for name, route in routes.items()} == {
        f"dev-private-{at}": f"dev-nat-{at % nats}" for at in range(3)
    }
    assert not any("gatewayId" in route for route in routes.values())
    for at in range(nats):
        gateway = stack[f"aws:ec2/natGateway:NatGateway dev-nat-{at}"]
        assert gateway["inputs"]["subnetId"] == f"dev-public-{at}"
        assert "dev-public" in gateway["depends_on"]


def test_the_default_security_group_lets_nothing_through() -> None:
    made = inputs(network(), "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "dev-default")
    assert (made["ingress"], made["egress"]) == ([], [])


def test_traffic_to_aws_stays_in_the_vpc() -> None:
    stack = network(bedrock=True)
    gateway = inputs(stack, ENDPOINT, "dev-s3")
    assert gateway["vpcEndpointType"] == "Gateway"
    assert gateway["routeTableIds"] == ["dev-private-0", "dev-private-1", "dev-private-2"]
    for service in PRIVATE_SERVICES + MODEL_SERVICES:
        made = inputs(stack, ENDPOINT, f"dev-{service.replace('.', '-')}")
        assert made["serviceName"] == f"com.amazonaws.{REGION}.{service}"
        assert made["privateDnsEnabled"] is True
        assert made["subnetIds"] == ["dev-private-0", "dev-private-1", "dev-private-2"]
        assert made["securityGroupIds"] == ["dev-endpoints"]
    rule = inputs(stack, "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "dev-endpoints")
    assert (rule["cidrIpv4"], rule["fromPort"], rule["toPort"]) == ("10.0.0.0/16", 443, 443)


def test_all_traffic_is_logged_by_a_role_that_can_do_nothing_else() -> None:
    stack = network(log_days=7)
    log = inputs(stack, "aws:ec2/flowLog:FlowLog", "dev-flow-logs")
    assert (log["trafficType"], log["vpcId"]) == ("ALL", "dev-vpc")
    group = arn("aws:cloudwatch/logGroup:LogGroup", "dev-flow-logs")
    assert log["logDestination"] == group
    assert inputs(stack, "aws:cloudwatch/logGroup:LogGroup", "dev-flow-logs")["retentionInDays"] == 7
    (may,) = statements(inputs(stack, "aws:iam/rolePolicy:RolePolicy", "dev-flow-logs")["policy"])
    assert may["Resource"] == [f"{group}:*"]
    assert all(action.startswith("logs:") and "*" not in action for action in may["Action"])
    (who,) = statements(inputs(stack, "aws:iam/role:Role", "dev-flow-logs")["assumeRolePolicy"])
    assert who["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert who["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_of_a_vpc_that_is_there_nothing_is_made() -> None:
    subnets = ["subnet-a", "subnet-b"]
    made: list[Network] = []
    stack = built(
        lambda: made.append(Network("dev", ExistingNetworkArgs(vpc_id="vpc-1", private_subnet_ids=subnets)))
    )
    assert set(stack) == {"headrace:aws:Network dev"}
    assert len(made[0].private_subnet_ids) == 2


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"private_subnets": ["10.0.0.0/20"]},
            "network: given 1 private subnets; allowed: 2 or 3, one for each zone",
        ),
        (
            {"public_subnets": ["10.0.240.0/24"]},
            "network: given 1 public subnets; allowed: 3, one for each zone",
        ),
        (
            {"nat_gateways": 2},
            "network: given 2 NAT gateways; allowed: 1, or 3, one for each zone",
        ),
        (
            {"cidr": "10.1.0.0/16"},
            "network: given subnet 10.0.0.0/20; allowed: blocks within the VPC's, 10.1.0.0/16",
        ),
        (
            {"public_subnets": ["10.0.0.0/24", "10.0.241.0/24", "10.0.242.0/24"]},
            "network: given subnets 10.0.0.0/20 and 10.0.0.0/24, which overlap; allowed: apart",
        ),
        (
            {"cidr": "10.0.0.1/16"},
            "network: 10.0.0.1/16 has host bits set; allowed: IPv4 blocks such as 10.0.0.0/16",
        ),
    ],
)
def test_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(HeadraceError) as refused:
        NetworkArgs(**DECLARED | changed)
    assert str(refused.value) == message


def test_an_existing_vpc_has_a_subnet_for_each_zone() -> None:
    with pytest.raises(HeadraceError) as refused:
        ExistingNetworkArgs(vpc_id="vpc-1", private_subnet_ids=["subnet-a", "subnet-a"])
    assert str(refused.value) == (
        "network vpc-1: given 1 private subnets; allowed: 2 or 3, one for each zone"
    )
