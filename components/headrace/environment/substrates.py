"""Where a stack runs: on this machine, or on AWS."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from headrace.environment.aws_parts import (
    AN_IMAGE_BY_DIGEST,
    DIGEST,
    Access,
    Cluster,
    ConnectPlugin,
    Database,
    Endpoint,
    FlinkOperator,
    ImageByDigest,
    Network,
)
from headrace.environment.fields import declared
from headrace.environment.types import Declared, matching

PORTS_PER_STACK = 100
"""Ports from ``port_base`` that belong to a stack, used or not: two stacks 100 apart never meet."""
MAX_TASKMANAGERS = 16


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
    cluster: Cluster = declared("a cluster", "The EKS cluster.", default_factory=Cluster)
    endpoint: Endpoint = declared("an endpoint", "Access to the Kubernetes API.", default_factory=Endpoint)
    access: Access = declared("who may do what", "Who may use the Kubernetes API.", default_factory=Access)
    databases: tuple[Database, ...] = declared(
        "a list of databases, one for each source", "Where the sources' databases are.", default=()
    )
    operator: FlinkOperator = declared("an operator", "The Flink Kubernetes Operator.")
    plugin: ConnectPlugin = declared("a plugin", "What connectors are run from.")
    collector_image: ImageByDigest = declared(
        AN_IMAGE_BY_DIGEST,
        "An OpenTelemetry collector with `filelog`, `otlp`, `awscloudwatchlogs` and `awsxray`: the"
        " contributors' distribution, or AWS's.",
    )
    agents_image: Annotated[str, matching(DIGEST, 71)] | None = declared(
        "`sha256:` and 64 hexadecimal digits",
        "Digest of the agents' image in the stack's repository, as `headrace image push` prints it; left out,"
        " everything but the agents is made, the repository too.",
        default=None,
    )
    model_keys: Annotated[str, matching(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", 63)] = declared(
        "lowercase letters, digits and dashes, at most 63 characters",
        "Secret of Kubernetes that holds the keys of models, each under the name in its `api_key.env`.",
        default="model-keys",
    )
    alarm_emails: tuple[Annotated[str, matching(r"[^@\s]+@[^@\s]+\.[^@\s.]+", 254)], ...] = declared(
        "a list of e-mail addresses",
        "Who is told of alarms, after saying yes once; left out, whoever subscribes to their topic.",
        default=(),
    )
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
