"""The whole of an environment on AWS, from its plan."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pulumi

from headrace.agents_fit import look_at_agents
from headrace.aws.agent_image import AgentImage, AgentImageArgs
from headrace.aws.agent_rights import StateBuckets
from headrace.aws.alarms import Alarms, AlarmsArgs
from headrace.aws.change_capture import ChangeCapture, ChangeCaptureArgs, Plugin
from headrace.aws.checkpoint_storage import ARTIFACTS, CheckpointStorage, CheckpointStorageArgs
from headrace.aws.cluster import Cluster
from headrace.aws.cluster_args import ClusterArgs, ExistingClusterArgs
from headrace.aws.connector import ConnectorPlace
from headrace.aws.deploy_rights import Whose, documents
from headrace.aws.flink_application import AgentKafka, FlinkApplication, FlinkApplicationArgs
from headrace.aws.flink_operator import FlinkOperator, FlinkOperatorArgs, SecretKey
from headrace.aws.foundation import network_of, provider_of, tags_of
from headrace.aws.handover import handover
from headrace.aws.iam import account_of
from headrace.aws.kafka import Kafka, KafkaArgs
from headrace.aws.namespace import Namespace, NamespaceArgs
from headrace.aws.network import blocks_of
from headrace.aws.observability import Observability, ObservabilityArgs
from headrace.aws.observed import ObservedCluster
from headrace.aws.slot_watch import WatchedSlot
from headrace.aws.source_database import databases_of, looked_at
from headrace.errors import HeadraceError
from headrace.image_manifests import manifests_of_image
from headrace.plan.aws.cluster_names import collector_endpoint
from headrace.plan.aws.model import AwsPlan, DeploymentPlan, NamespacePlan
from headrace.plan.model import AgentPlan, PostgresqlSourcePlan
from headrace.provider.aws import PACKAGE
from headrace_agents.manifest import Manifest

RUNNER = "runner"


@dataclass(frozen=True, kw_only=True)
class ManagedStackArgs:
    """An environment's plan, and where the program is."""

    plan: AwsPlan
    project: Path
    """The folder that the paths of the declaration are taken from."""
    inside: bool = False
    """Whether the program runs where a private endpoint is reached: on the runner."""
    agents_python: Path | None = None
    """An interpreter with the agents' packages: a preview looks there whether they can read their tables.
    None: that is not looked at."""


@dataclass(frozen=True, kw_only=True)
class _Place:
    """The network, and who deploys into it."""

    vpc_id: pulumi.Output[str]
    subnet_ids: list[pulumi.Output[str]]
    cidrs: list[pulumi.Input[str]]
    administrators: dict[str, pulumi.Input[str]]
    api_clients: dict[str, pulumi.Input[str]]
    made: list[pulumi.Resource]
    """What has to be there before something goes through the network."""


class ManagedStack(pulumi.ComponentResource):
    """Network, storage, Kafka, change capture, cluster, operator, agents, and what watches them.

    With a public endpoint everything is made in one go. With a private one the network and the runner are
    there already (`Foundation`), and the runner makes the rest. Without an image's digest everything but
    the agents is made, so that there is a repository to push one to.

    >>> plan = aws_plan(load_environment(Path("stacks/Pulumi.dev.yaml")))
    >>> stack = ManagedStack("dev", ManagedStackArgs(plan=plan, project=Path()))  # doctest: +SKIP
    """

    agents: dict[str, FlinkApplication]
    outputs: dict[str, Any]
    """What a person needs: addresses, names, commands, kubeconfig by role, documents for CI by stage."""

    def __init__(self, name: str, args: ManagedStackArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("headrace:aws:ManagedStack", name, None, opts)
        if args.agents_python and pulumi.runtime.is_dry_run():
            where = f"Pulumi.{args.plan.environment}.yaml"
            fit = look_at_agents(args.plan, where, args.agents_python, may_be_elsewhere=True)
            for warning in fit.warnings:
                pulumi.log.warn(warning, self)
        self._name, self._plan, self._project = name, args.plan, args.project
        self._tags, self._aws = tags_of(args.plan), provider_of(name, args.plan, self)
        self._child = pulumi.ResourceOptions(parent=self, providers=[self._aws])
        self._place = self._placed()
        self.alarms = Alarms(name, AlarmsArgs(emails=self._plan.alarm_emails, tags=self._tags), self._child)
        self.storage = self._storage()
        self.images = AgentImage(
            name, AgentImageArgs(protect=self._plan.protect, tags=self._tags), self._child
        )
        self.kafka = self._kafka()
        self.capture = self._capture()
        self.cluster = self._cluster(api_reached=args.inside or not self._plan.cluster.endpoint_private)
        self._jobs = self._namespace(self._plan.cluster.agents_namespace)
        self.operator = self._operator()
        self.observability = self._observability()
        self.agents = self._agents()
        self.outputs = self._outputs()
        self.register_outputs(self.outputs)

    def _placed(self) -> _Place:
        """A network of its own, or the one that the foundation left word of."""
        plan, planned = self._plan, self._plan.network
        known = planned.vpc_id is None
        if not plan.cluster.endpoint_private:
            network = network_of(self._name, plan, self._child)
            return _Place(
                vpc_id=network.vpc_id,
                subnet_ids=network.private_subnet_ids,
                cidrs=list(planned.private_subnets) if known else [*network.private_cidrs],
                administrators={},
                api_clients={},
                made=[network],
            )
        here = pulumi.InvokeOutputOptions(parent=self, provider=self._aws)
        left = handover(plan.environment, plan.zones, here)
        return _Place(
            vpc_id=left.vpc_id,
            subnet_ids=left.private_subnet_ids,
            cidrs=list(planned.private_subnets) if known else [*blocks_of(planned.private_subnets, here)],
            administrators={RUNNER: left.runner_role_arn},
            api_clients={RUNNER: left.runner_security_group_id},
            made=[],
        )

    @property
    def _deployers(self) -> list[pulumi.Input[str]]:
        """The runner where there is one, else who administers the cluster."""
        runner = list(self._place.administrators.values())
        return runner or list(self._plan.cluster.admins)

    def _storage(self) -> CheckpointStorage:
        plan = self._plan
        return CheckpointStorage(
            self._name,
            CheckpointStorageArgs(
                buckets=plan.state_storage.buckets,
                protect=plan.protect,
                access_log_days=plan.log_days,
                tags=self._tags,
                deployers=self._deployers,
            ),
            self._child,
        )

    def _kafka(self) -> Kafka:
        plan, place = self._plan, self._place
        return Kafka(
            self._name,
            KafkaArgs(
                brokers=plan.kafka,
                topics=plan.topics,
                vpc_id=place.vpc_id,
                subnet_ids=place.subnet_ids,
                protect=plan.protect,
                log_days=plan.log_days,
                tags=self._tags,
                alarm_topic_arn=self.alarms.topic_arn,
            ),
            self._child,
        )

    def _capture(self) -> ChangeCapture:
        plan, place, declared = self._plan, self._place, self._plan.connect.plugin
        return ChangeCapture(
            self._name,
            ChangeCaptureArgs(
                sources=plan.sources,
                databases=databases_of(plan),
                connect=plan.connect,
                plugin=Plugin(archive=self._project / declared.archive, sha256=declared.sha256),
                artifacts_bucket=self.storage.bucket_names[ARTIFACTS],
                artifacts_bucket_arn=self.storage.bucket_arns[ARTIFACTS],
                place=ConnectorPlace(
                    region=plan.region,
                    vpc_id=place.vpc_id,
                    subnet_ids=place.subnet_ids,
                    cluster_arn=self.kafka.cluster_arn,
                    bootstrap_servers=self.kafka.bootstrap_servers,
                    kafka_client_security_group_id=self.kafka.client_security_group_id,
                ),
                log_days=plan.log_days,
                tags=self._tags,
                client=place.api_clients.get(RUNNER, f"where `pulumi up --stack {plan.environment}` runs"),
            ),
            # A connector finds its topics made and its way open; the plugin's object has a version.
            pulumi.ResourceOptions.merge(
                self._child, pulumi.ResourceOptions(depends_on=[*place.made, self.kafka, self.storage])
            ),
        )

    def _cluster(self, *, api_reached: bool) -> Cluster:
        """A new one, or the one that is there: its owner has said who else may use it."""
        plan, place = self._plan, self._place
        alike: Any = {
            "cluster": plan.cluster,
            "subnet_ids": place.subnet_ids,
            "administrators": place.administrators,
            "api_clients": place.api_clients,
            "api_reached": api_reached,
            "node_security_group_ids": [self.kafka.client_security_group_id],
            "tags": self._tags,
        }
        if plan.cluster.existing:
            return Cluster(self._name, ExistingClusterArgs(vpc_id=place.vpc_id, **alike), self._child)
        access = dict.fromkeys(plan.cluster.admins, "admin") | dict.fromkeys(plan.cluster.viewers, "view")
        return Cluster(
            self._name,
            ClusterArgs(access=access, protect=plan.protect, log_days=plan.log_days, **alike),
            self._child,
        )

    @cached_property
    def _in_cluster(self) -> pulumi.ResourceOptions:
        """Pods need nodes, and nodes the network; going away, they go before both."""
        return pulumi.ResourceOptions(
            parent=self,
            providers=[self._aws, self.cluster.provider],
            depends_on=[*self._place.made, self.cluster],
        )

    def _namespace(self, planned: NamespacePlan) -> Namespace:
        return Namespace(
            f"{self._name}-{planned.name}",
            NamespaceArgs(
                namespace=planned.name,
                vcpu=planned.vcpu,
                memory_mib=planned.memory_mib,
                labels=self._tags.labels,
            ),
            self._in_cluster,
        )

    def _operator(self) -> FlinkOperator:
        plan, planned = self._plan, self._plan.operator
        home = self._namespace(plan.cluster.operator_namespace)
        chart = planned.chart
        if not urlsplit(chart).scheme:
            # From where the program runs, which is the same on every machine, as a whole path is not.
            chart = os.path.relpath(self._project / chart)
        return FlinkOperator(
            f"{self._name}-operator",
            FlinkOperatorArgs(
                operator=planned,
                chart=chart,
                image=planned.image,
                namespace=home.namespace,
                watched_namespaces=[plan.cluster.agents_namespace.name],
                control_plane_cidrs=[*self._place.cidrs, self.cluster.service_cidr],
                rest_port=plan.deployments[0].pods.ports.rest,
                scraper_cidrs=self._place.cidrs,
            ),
            # The chart binds the operator in the namespace that it watches.
            pulumi.ResourceOptions.merge(
                self._in_cluster, pulumi.ResourceOptions(depends_on=[home, self._jobs])
            ),
        )

    def _observability(self) -> Observability:
        plan, cluster = self._plan, self.cluster
        return Observability(
            self._name,
            ObservabilityArgs(
                deployments=plan.deployments,
                connectors=[each.name for each in plan.connect.connectors],
                kafka_cluster_arn=self.kafka.cluster_arn,
                cluster=ObservedCluster(
                    name=cluster.name,
                    arn=cluster.arn,
                    subnet_ids=self._place.subnet_ids,
                    security_group_id=cluster.security_group_id,
                    node_pools=[pool.name for pool in plan.cluster.node_pools],
                    agents_namespace=plan.cluster.agents_namespace.name,
                    collector_namespace=plan.cluster.collector_namespace,
                ),
                region=plan.region,
                collector_image=plan.collector_image,
                alarm_topic_arn=self.alarms.topic_arn,
                log_days=plan.log_days,
                tags=self._tags,
                deployers=self._deployers,
                slots=[
                    self._watched_slot(source)
                    for source in plan.sources
                    if isinstance(source, PostgresqlSourcePlan)
                ],
            ),
            self._in_cluster,
        )

    def _watched_slot(self, source: PostgresqlSourcePlan) -> WatchedSlot:
        return WatchedSlot(
            source=source,
            database=databases_of(self._plan)[source.name],
            # Beside the operator, on nodes that stay.
            node_pool=self._plan.operator.node_pool,
            scraper_cidrs=self._place.cidrs,
            connector=self.capture.connectors[source.name],
        )

    def _agents(self) -> dict[str, FlinkApplication]:
        plan = self._plan
        pulumi.CustomResource(
            f"{PACKAGE}:index:Roster",
            self._name,
            {"declared": [agent.name for agent in plan.agents], "removed": list(plan.agents_removed)},
            pulumi.ResourceOptions(parent=self),
        )
        if plan.agents_image is None:
            return {}
        image = self.images.at(plan.agents_image)
        try:
            manifests = manifests_of_image(self._project, plan.agents_image)
        except HeadraceError as error:
            pulumi.log.warn(str(error), self)
            manifests = {}
        return {
            agent.name: self._agent(deployment, agent, image, manifests.get(agent.spec.entry_point))
            for deployment, agent in zip(plan.deployments, plan.agents, strict=True)
        }

    def _agent(
        self,
        deployment: DeploymentPlan,
        agent: AgentPlan,
        image: pulumi.Output[str],
        manifest: Manifest | None,
    ) -> FlinkApplication:
        key, storage, plan = deployment.model_key, self.storage, self._plan
        needs = [self.operator, self._jobs, self.kafka, storage]
        namespace = plan.cluster.collector_namespace
        return FlinkApplication(
            f"{self._name}-{agent.name}",
            FlinkApplicationArgs(
                deployment=deployment,
                agent=agent,
                image=image,
                cluster_name=self.cluster.name,
                cluster_arn=self.cluster.arn,
                kubeconfig=self.cluster.kubeconfig,
                namespace=self._jobs.namespace,
                operator_namespace=plan.cluster.operator_namespace.name,
                kafka=AgentKafka(
                    cluster_arn=self.kafka.cluster_arn,
                    bootstrap_servers=self.kafka.bootstrap_servers,
                    cidrs=self._place.cidrs,
                ),
                state=StateBuckets(
                    names=storage.bucket_names, arns=storage.bucket_arns, key_arn=storage.key_arn
                ),
                tags=self._tags,
                manifest=manifest,
                model_key=SecretKey(secret=key.secret, key=key.key) if key else None,
                bedrock_models=deployment.bedrock_models,
                scraper_cidrs=self._place.cidrs,
                collector_namespace=namespace if traces_to(agent) == collector_endpoint(namespace) else None,
            ),
            pulumi.ResourceOptions.merge(self._in_cluster, pulumi.ResourceOptions(depends_on=needs)),
        )

    def _outputs(self) -> dict[str, Any]:
        plan, cluster = self._plan, self.cluster
        account = account_of(self.storage.key_arn)
        return {
            "brokers": self.kafka.bootstrap_servers,
            "buckets": self.storage.bucket_names,
            "repository_url": self.images.repository_url,
            "connector_security_groups": {
                source: each.security_group_id for source, each in self.capture.connectors.items()
            },
            "kubeconfig": cluster.kubeconfig,
            "kubeconfigs": {
                role: {arn: cluster.kubeconfig_as(arn) for arn in arns if ":role/" in arn}
                for role, arns in (("admin", plan.cluster.admins), ("view", plan.cluster.viewers))
            },
            "flink": {
                deployment.name: flink_page(deployment, plan.cluster.agents_namespace.name)
                for deployment in plan.deployments
            },
            "alarm_topic_arn": self.alarms.topic_arn,
            "metrics_endpoint": self.observability.metrics_endpoint,
            "log_group": self.observability.log_group_name,
            "otlp_endpoint": self.observability.otlp_endpoint,
            "policies": documents(
                Whose(
                    self._name,
                    plan.environment,
                    plan.region,
                    existing_cluster=plan.cluster.existing,
                    databases=looked_at(databases_of(plan).values()),
                ),
                account,
            ),
        }


def traces_to(agent: AgentPlan) -> str | None:
    """The receiver of an agent's traces; None where it sends none."""
    return agent.spec.tracing.endpoint if agent.spec.tracing else None


def flink_page(deployment: DeploymentPlan, namespace: str) -> str:
    """The command that brings an agent's Flink page to this machine; nothing exposes it."""
    port = deployment.pods.ports.rest
    return f"kubectl --namespace {namespace} port-forward service/{deployment.name}-rest {port}:{port}"
