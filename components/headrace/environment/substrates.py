"""Where a stack runs: on this machine, or on AWS."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from headrace.environment.fields import declared
from headrace.environment.types import Declared, matching

PORTS_PER_STACK = 100
"""Ports from ``port_base`` that belong to a stack, used or not: two stacks 100 apart never meet."""
MAX_TASKMANAGERS = 16
IP_BLOCK = r"[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}"
AN_IP_BLOCK = "an IPv4 block such as `10.0.0.0/16`"

IpBlock = Annotated[str, matching(IP_BLOCK, 18)]


class LocalSubstrate(Declared):
    """Processes on this machine."""

    kind: Literal["local"] = declared("`local` or `aws`", "`local`: processes on this machine.")
    port_base: Annotated[int, Field(strict=True, ge=1024, le=65536 - PORTS_PER_STACK)] = declared(
        f"a whole number from 1024 to {65536 - PORTS_PER_STACK}",
        f"First of the {PORTS_PER_STACK} loopback ports of this stack.",
        default=17000,
    )
    data_dir: Annotated[str, matching(r"/[^\x00]*", 1000)] | None = declared(
        "an absolute path",
        (
            "Folder of the stack's data (database, topics, checkpoints); left out, "
            "`.headrace/NAME` in the project's folder."
        ),
        default=None,
    )
    taskmanagers: Annotated[int, Field(strict=True, ge=1, le=MAX_TASKMANAGERS)] = declared(
        f"a whole number from 1 to {MAX_TASKMANAGERS}",
        "Flink TaskManager processes; with 2 or more, every agent still fits when one is lost. Scaling starts"
        " more while agents run with more subtasks than `parallelism_min`.",
        default=2,
    )


class Network(Declared):
    """The VPC: a new one, or one that is there."""

    cidr: IpBlock | None = declared(
        AN_IP_BLOCK, "Addresses of a new VPC; left out, worked out. Not with `vpc_id`.", default=None
    )
    nat: Literal["one", "per-zone"] = declared(
        "`one` or `per-zone`",
        "NAT gateways of a new VPC: one is cheaper, one per zone outlives a zone.",
        default="per-zone",
    )
    vpc_id: Annotated[str, matching(r"vpc-[0-9a-f]{8,17}", 21)] | None = declared(
        "the id of a VPC, `vpc-...`", "A VPC that is there; left out, one is made.", default=None
    )
    private_subnet_ids: tuple[Annotated[str, matching(r"subnet-[0-9a-f]{8,17}", 24)], ...] = declared(
        "a list of subnets' ids, `subnet-...`",
        "Private subnets of that VPC, one in each zone.",
        default=(),
    )


class Endpoint(Declared):
    """How the Kubernetes API is reached."""

    access: Literal["private", "public"] = declared(
        "`private` or `public`",
        "`private`: from within the VPC alone; `public`: also from `cidrs`.",
        default="private",
    )
    cidrs: tuple[IpBlock, ...] = declared(
        f"a list; each is {AN_IP_BLOCK}", "Who may reach a public endpoint.", default=()
    )


class AwsSubstrate(Declared):
    """EKS, S3, MSK and MSK Connect in one region."""

    kind: Literal["aws"] = declared("`local` or `aws`", "`aws`: EKS, S3, MSK and MSK Connect.")
    region: Annotated[str, matching(r"[a-z]{2}(-[a-z]+)+-[0-9]", 32)] = declared(
        "a region such as `eu-central-1`", "Where everything is."
    )
    zones: Annotated[int, Field(strict=True, ge=2, le=3)] = declared(
        "2 or 3", "Availability zones that the stack is spread over.", default=3
    )
    network: Network = declared("a network", "The VPC.", default_factory=Network)
    endpoint: Endpoint = declared("an endpoint", "Access to the Kubernetes API.", default_factory=Endpoint)
    spot: Annotated[bool, Field(strict=True)] = declared(
        "`true` or `false`",
        "Whether TaskManagers may run on spot instances, as far as `recovery.max_recovery` allows.",
        default=False,
    )
    protect: Annotated[bool, Field(strict=True)] = declared(
        "`true` or `false`",
        "Whether what holds data is kept when the stack is destroyed.",
        default=True,
    )
    log_days: Literal[1, 7, 30, 90, 365] = declared(
        "1, 7, 30, 90 or 365", "How long logs are kept.", default=30
    )
    kafka: Literal["express", "standard"] = declared(
        "`express` or `standard`",
        "Kind of MSK's brokers; `express` needs 3 zones. Serverless takes records up to 8 MB, the topics' are"
        " larger.",
        default="express",
    )


Substrate = Annotated[LocalSubstrate | AwsSubstrate, Field(discriminator="kind")]
