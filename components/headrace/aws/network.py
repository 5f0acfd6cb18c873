"""The network: a VPC over two or three zones with private subnets for everything, or one that is there."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from headrace.aws.flow_logs import FlowLogs
from headrace.aws.network_args import ExistingNetworkArgs, NetworkArgs
from headrace.plan.aws.network import MODEL_SERVICES, PRIVATE_SERVICES

HTTPS = 443
ANYWHERE = "0.0.0.0/0"


def blocks_of(subnet_ids: Sequence[str], opts: pulumi.InvokeOutputOptions) -> list[pulumi.Output[str]]:
    """Addresses of subnets that are there."""
    return [aws.ec2.get_subnet_output(id=each, opts=opts).cidr_block for each in subnet_ids]


class Network(pulumi.ComponentResource):
    """Private subnets over zones, with traffic to AWS kept inside.

    >>> network = Network(
    ...     "dev",
    ...     NetworkArgs(
    ...         region="eu-central-1",
    ...         cidr="10.0.0.0/16",
    ...         private_subnets=["10.0.0.0/20", "10.0.16.0/20"],
    ...         public_subnets=["10.0.240.0/24", "10.0.241.0/24"],
    ...         nat_gateways=1,
    ...         log_days=7,
    ...         tags=Tags(environment="dev", owner="data", cost_centre="4711"),
    ...     ),
    ... )  # doctest: +SKIP
    """

    vpc_id: pulumi.Output[str]
    private_subnet_ids: list[pulumi.Output[str]]
    """One for each zone."""
    private_cidrs: list[pulumi.Output[str]]
    """Their blocks, in the same order."""

    def __init__(
        self,
        name: str,
        args: NetworkArgs | ExistingNetworkArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("headrace:aws:Network", name, None, opts)
        if isinstance(args, ExistingNetworkArgs):
            self.vpc_id = pulumi.Output.from_input(args.vpc_id)
            self.private_subnet_ids = [pulumi.Output.from_input(each) for each in args.private_subnet_ids]
            self.private_cidrs = blocks_of(args.private_subnet_ids, pulumi.InvokeOutputOptions(parent=self))
        else:
            self._make(name, args)
        self.register_outputs({"vpc_id": self.vpc_id, "private_subnet_ids": self.private_subnet_ids})

    def _make(self, name: str, args: NetworkArgs) -> None:
        self._name, self._args, self._child = name, args, pulumi.ResourceOptions(parent=self)
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=args.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=args.tags.named(f"{name}-vpc"),
            opts=self._child,
        )
        # Without rules: what is put into it by mistake reaches nothing and is reached by nothing.
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default",
            vpc_id=vpc.id,
            ingress=[],
            egress=[],
            tags=args.tags.named(f"{name}-default"),
            opts=self._child,
        )
        zones = aws.get_availability_zones_output(
            state="available",
            # Local zones and Wavelength zones have neither EKS nor MSK.
            filters=[{"name": "opt-in-status", "values": ["opt-in-not-required"]}],
            opts=pulumi.InvokeOutputOptions(parent=self),
        ).names
        private = self._subnets("private", vpc, zones, args.private_subnets)
        public = self._subnets("public", vpc, zones, args.public_subnets)
        tables = self._routes(vpc, private, self._nat_gateways(vpc, public))
        self._endpoints(vpc, private, tables)
        FlowLogs(f"{name}-flow", vpc, args.log_days, args.tags, self._child)
        self.vpc_id = vpc.id
        self.private_subnet_ids = [subnet.id for subnet in private]
        self.private_cidrs = [pulumi.Output.from_input(block) for block in args.private_subnets]

    def _subnets(
        self, kind: str, vpc: aws.ec2.Vpc, zones: pulumi.Output[Sequence[str]], blocks: Sequence[str]
    ) -> list[aws.ec2.Subnet]:
        # A zone that opens later must not move a subnet that is there, and with it all that is in it.
        opts = pulumi.ResourceOptions(parent=self, ignore_changes=["availabilityZone"])
        # What EKS finds subnets for load balancers by; nothing of a stack is ever public.
        role = {"kubernetes.io/role/internal-elb": "1"} if kind == "private" else {}
        return [
            aws.ec2.Subnet(
                f"{self._name}-{kind}-{at}",
                vpc_id=vpc.id,
                cidr_block=block,
                availability_zone=zones[at],
                map_public_ip_on_launch=False,
                tags=self._args.tags.named(f"{self._name}-{kind}-{at}") | role,
                opts=opts,
            )
            for at, block in enumerate(blocks)
        ]

    def _nat_gateways(self, vpc: aws.ec2.Vpc, public: list[aws.ec2.Subnet]) -> list[aws.ec2.NatGateway]:
        name, tags = self._name, self._args.tags
        gateway = aws.ec2.InternetGateway(
            f"{name}-internet", vpc_id=vpc.id, tags=tags.named(f"{name}-internet"), opts=self._child
        )
        table = self._route_table("public", vpc)
        route = aws.ec2.Route(
            f"{name}-public",
            route_table_id=table.id,
            destination_cidr_block=ANYWHERE,
            gateway_id=gateway.id,
            opts=self._child,
        )
        self._associate("public", public, [table] * len(public))
        gateways = []
        for at, subnet in enumerate(public[: self._args.nat_gateways]):
            nat = f"{name}-nat-{at}"
            address = aws.ec2.Eip(nat, domain="vpc", tags=tags.named(nat), opts=self._child)
            gateways.append(
                aws.ec2.NatGateway(
                    nat,
                    allocation_id=address.id,
                    subnet_id=subnet.id,
                    tags=tags.named(nat),
                    # The API takes a gateway without a way out, and it then reaches nothing.
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[route]),
                )
            )
        return gateways

    def _routes(
        self, vpc: aws.ec2.Vpc, private: list[aws.ec2.Subnet], gateways: list[aws.ec2.NatGateway]
    ) -> list[aws.ec2.RouteTable]:
        """A table for each private subnet, with its own zone's gateway where there is one."""
        tables = [self._route_table(f"private-{at}", vpc) for at in range(len(private))]
        for at, table in enumerate(tables):
            aws.ec2.Route(
                f"{self._name}-private-{at}",
                route_table_id=table.id,
                destination_cidr_block=ANYWHERE,
                nat_gateway_id=gateways[at % len(gateways)].id,
                opts=self._child,
            )
        self._associate("private", private, tables)
        return tables

    def _route_table(self, kind: str, vpc: aws.ec2.Vpc) -> aws.ec2.RouteTable:
        name = f"{self._name}-{kind}"
        return aws.ec2.RouteTable(name, vpc_id=vpc.id, tags=self._args.tags.named(name), opts=self._child)

    def _associate(self, kind: str, subnets: list[aws.ec2.Subnet], tables: list[aws.ec2.RouteTable]) -> None:
        for at, (subnet, table) in enumerate(zip(subnets, tables, strict=True)):
            aws.ec2.RouteTableAssociation(
                f"{self._name}-{kind}-{at}",
                subnet_id=subnet.id,
                route_table_id=table.id,
                opts=self._child,
            )

    def _endpoints(
        self, vpc: aws.ec2.Vpc, private: list[aws.ec2.Subnet], tables: list[aws.ec2.RouteTable]
    ) -> None:
        name, args = self._name, self._args
        aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{args.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in tables],
            tags=args.tags.named(f"{name}-s3"),
            opts=self._child,
        )
        group = aws.ec2.SecurityGroup(
            f"{name}-endpoints",
            description="Interface endpoints of AWS services, reached from within the VPC",
            vpc_id=vpc.id,
            tags=args.tags.named(f"{name}-endpoints"),
            opts=self._child,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-endpoints",
            security_group_id=group.id,
            description="HTTPS from within the VPC",
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            cidr_ipv4=args.cidr,
            tags=args.tags.named(f"{name}-endpoints"),
            opts=self._child,
        )
        for service in PRIVATE_SERVICES + (MODEL_SERVICES if args.bedrock else ()):
            endpoint = f"{name}-{service.replace('.', '-')}"
            aws.ec2.VpcEndpoint(
                endpoint,
                vpc_id=vpc.id,
                service_name=f"com.amazonaws.{args.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=[subnet.id for subnet in private],
                security_group_ids=[group.id],
                tags=args.tags.named(endpoint),
                opts=self._child,
            )
