"""The shape of a plan on AWS, beside what it has in common with the local one."""

from __future__ import annotations

from typing import Literal

from headrace.plan.model import CommonPlan, FlinkPlan, PlanModel


class NetworkPlan(PlanModel):
    vpc_id: str | None
    """``None``: one is made."""
    cidr: str | None
    """Of a new VPC."""
    private_subnets: tuple[str, ...]
    """Blocks of a new VPC's subnets, or ids of those that are there; one a zone."""
    public_subnets: tuple[str, ...]
    """Blocks; for NAT gateways alone."""
    nat_gateways: int
    bedrock: bool
    """Whether a model is on Bedrock, which then is called within the VPC."""


class NodePoolPlan(PlanModel):
    name: str
    instance_categories: tuple[str, ...]
    architecture: str
    spot_share: float
    """Of this pool's capacity that may be on spot instances, 0 to 1."""
    vcpu_limit: int
    memory_limit_mib: int


class NamespacePlan(PlanModel):
    name: str
    vcpu: int
    memory_mib: int
    """What its pods may ask for together."""


class ClusterPlan(PlanModel):
    existing: str | None
    """Name of a cluster that is there; ``None``: one is made."""
    endpoint_private: bool
    """Whether the Kubernetes API is reached from within the VPC alone."""
    public_cidrs: tuple[str, ...]
    admins: tuple[str, ...]
    """ARNs of IAM principals, the runner not among them."""
    viewers: tuple[str, ...]
    node_class: str
    node_pools: tuple[NodePoolPlan, ...]
    operator_namespace: NamespacePlan
    agents_namespace: NamespacePlan
    collector_namespace: str


class MskPlan(PlanModel):
    kind: str
    instance_type: str
    brokers: int
    storage_gib: int | None
    """Of each Standard broker; Express brokers bring their own."""
    configuration: dict[str, str]


class ConnectorCapacityPlan(PlanModel):
    name: str
    mcu: int
    """MSK Connect units of the one worker: 1 vCPU and 4 GiB each."""
    workers: int


class DatabasePlan(PlanModel):
    """Where a source's database is, and where its password is kept."""

    name: str
    """The source's."""
    host: str
    port: int
    security_group_id: str
    secret_arn: str
    secret_key_arn: str
    preflight: Literal["required", "skipped"]
    """Whether whoever brings the stack up looks at it before its connector, and drops its slot after it."""


class PluginPlan(PlanModel):
    archive: str
    """A path, from the project's folder."""
    sha256: str


class ConnectPlan(PlanModel):
    worker_configuration: dict[str, str]
    plugin: PluginPlan
    databases: tuple[DatabasePlan, ...]
    connectors: tuple[ConnectorCapacityPlan, ...]


class OperatorPlan(PlanModel):
    """The Flink Kubernetes Operator."""

    chart: str
    """A path from the project's folder, or an address."""
    image: str
    replicas: int
    cpu: float
    memory_mib: int
    """Of a replica."""
    metrics_port: int
    node_pool: str
    """Whose nodes it runs on."""
    configuration: dict[str, str]
    """Its own options, and the defaults of every deployment that it watches."""


class PodPortsPlan(PlanModel):
    """What a deployment's pods listen on; each has an address of its own, so all have the same."""

    rest: int
    rpc: int
    blob: int
    taskmanager_rpc: int
    taskmanager_data: int
    metrics: int


class PodPlan(PlanModel):
    """Pods of one agent's Flink deployment."""

    jobmanager_pool: str
    """Whose nodes they run on."""
    jobmanager_cpu: float
    jobmanager_replicas: int
    jobmanager_disk_gib: int
    taskmanager_pool: str
    taskmanager_cpu: float
    disk_gib: int
    """Local disk of a TaskManager, for RocksDB."""
    ports: PodPortsPlan
    pre_stop_s: int
    """How long a TaskManager goes on after it was told to end."""
    termination_grace_s: int
    """From then on, until it is killed."""


class SecretKeyPlan(PlanModel):
    secret: str
    key: str


class DeploymentPlan(PlanModel):
    name: str
    """The agent's."""
    model_key: SecretKeyPlan | None
    """Where the key of its model is kept in the cluster."""
    bedrock_models: tuple[str, ...]
    """ARNs of what it may invoke."""
    flink: FlinkPlan
    pods: PodPlan
    upgrade_mode: Literal["savepoint", "last-state"]
    """What a changed job goes on from; never from nothing."""


class AwsPlan(CommonPlan):
    """A stack on AWS: one Flink deployment for each agent."""

    owner: str
    cost_centre: str
    region: str
    zones: int
    protect: bool
    log_days: int
    alarm_emails: tuple[str, ...]
    agents_image: str | None
    """A digest; ``None``: there is none yet, and no agent is deployed."""
    collector_image: str
    network: NetworkPlan
    cluster: ClusterPlan
    kafka: MskPlan
    connect: ConnectPlan
    operator: OperatorPlan
    deployments: tuple[DeploymentPlan, ...]
