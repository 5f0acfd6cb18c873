"""The foundation of an environment whose endpoints are private: its network, and the runner within it."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from headrace.aws.existing_cluster import existing_cluster
from headrace.aws.handover import parameter
from headrace.aws.network import Network
from headrace.aws.network_args import ExistingNetworkArgs, NetworkArgs
from headrace.aws.operations import Operations, OperationsArgs
from headrace.aws.source_database import databases_of
from headrace.aws.tags import Tags
from headrace.errors import HeadraceError
from headrace.plan.aws.model import AwsPlan


class Foundation(pulumi.ComponentResource):
    """What is made first, from anywhere: nothing of it needs a way to the cluster, which is not there yet.

    It leaves word of itself in a parameter, which the platform's stage reads (`ManagedStack`).

    Raises:
        HeadraceError: the endpoint is public: then there is one stage, and no runner.

    >>> Foundation("prod", aws_plan(load_environment(Path("stacks/Pulumi.prod.yaml"))))  # doctest: +SKIP
    """

    network: Network
    operations: Operations
    outputs: dict[str, Any]
    """What a person needs: of the runner, where the platform's state goes, and documents for CI by stage."""

    def __init__(self, name: str, plan: AwsPlan, opts: pulumi.ResourceOptions | None = None) -> None:
        if not plan.cluster.endpoint_private:
            raise HeadraceError(
                f"environment {plan.environment}: given a public endpoint; allowed: a private one, as what "
                "is public needs no foundation: run its own stack"
            )
        super().__init__("headrace:aws:Foundation", name, None, opts)
        region = provider_of(name, plan, self)
        child, tags = pulumi.ResourceOptions(parent=self, providers=[region]), tags_of(plan)
        self.network = network_of(name, plan, child)
        if plan.cluster.existing:
            # The preview of what comes first refuses one that is not fit for what comes next.
            here = pulumi.InvokeOutputOptions(parent=self, provider=region)
            existing_cluster(plan.cluster, self.network.vpc_id, here)
        self.operations = Operations(
            name,
            OperationsArgs(
                region=plan.region,
                vpc_id=self.network.vpc_id,
                subnet_ids=self.network.private_subnet_ids,
                protect=plan.protect,
                log_days=plan.log_days,
                tags=tags,
                existing_cluster=plan.cluster.existing,
                databases=databases_of(plan),
            ),
            child,
        )
        word = parameter(plan.environment)
        aws.ssm.Parameter(
            f"{name}-foundation",
            name=word,
            type="String",
            description=f"What the platform of {plan.environment} has to know of its foundation",
            # Ids are no secret: a preview may show them.
            insecure_value=pulumi.Output.all(
                vpc_id=self.network.vpc_id,
                private_subnet_ids=self.network.private_subnet_ids,
                runner_role_arn=self.operations.role_arn,
                runner_security_group_id=self.operations.security_group_id,
            ).apply(lambda known: json.dumps(known, sort_keys=True)),
            tags=tags.named(f"{name}-foundation"),
            opts=pulumi.ResourceOptions(parent=self, provider=region),
        )
        runner = self.operations
        self.outputs = {
            "project_name": runner.project_name,
            "bucket_name": runner.bucket_name,
            "backend_url": runner.backend_url,
            "secrets_provider": runner.secrets_provider,
            "policies": runner.policies,
        }
        self.register_outputs(self.outputs)


def provider_of(name: str, plan: AwsPlan, parent: pulumi.Resource) -> aws.Provider:
    """AWS in the plan's region, whatever region whoever runs the program has set for themselves."""
    return aws.Provider(f"{name}-aws", region=plan.region, opts=pulumi.ResourceOptions(parent=parent))


def tags_of(plan: AwsPlan) -> Tags:
    """The tags of everything of an environment."""
    return Tags(environment=plan.environment, owner=plan.owner, cost_centre=plan.cost_centre)


def network_of(name: str, plan: AwsPlan, opts: pulumi.ResourceOptions) -> Network:
    """The plan's network: a new one, or the one that is there."""
    network = plan.network
    if network.vpc_id is not None:
        return Network(
            name,
            ExistingNetworkArgs(vpc_id=network.vpc_id, private_subnet_ids=network.private_subnets),
            opts,
        )
    return Network(
        name,
        NetworkArgs(
            region=plan.region,
            cidr=str(network.cidr),
            private_subnets=network.private_subnets,
            public_subnets=network.public_subnets,
            nat_gateways=network.nat_gateways,
            log_days=plan.log_days,
            tags=tags_of(plan),
            bedrock=network.bedrock,
        ),
        opts,
    )
