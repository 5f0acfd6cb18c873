"""An agent on the Flink Kubernetes Operator: its deployment, who it is, and what reaches it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from headrace.aws.agent_rights import StateBuckets, agent_rights, refuse_unknown_models
from headrace.aws.agent_traffic import AgentTraffic, AgentTrafficArgs
from headrace.aws.flink_deployment import (
    JOBMANAGER,
    TASKMANAGER,
    DeploymentPlace,
    flink_deployment,
    labels,
    model_key_file,
    storage_options,
)
from headrace.aws.flink_operator import SecretKey
from headrace.aws.pod_identity import PodIdentity, PodIdentityArgs
from headrace.aws.pods import pinned
from headrace.aws.tags import Tags
from headrace.aws.traffic import refuse_open_blocks
from headrace.aws.upgrade_pod import upgrade_pod
from headrace.errors import HeadraceError
from headrace.plan.aws.model import DeploymentPlan
from headrace.plan.model import AgentPlan
from headrace.provider.aws import PACKAGE
from headrace.provider.aws.agents.deployment import API_VERSION, KIND
from headrace_agents.manifest import Manifest

DEPLOYMENT_NAME = re.compile(r"[a-z]([-a-z0-9]{0,43}[a-z0-9])?")
"""What the operator takes: Flink makes longer names of it."""
UPGRADE_MODES = ("last-state", "savepoint")
REQUIRED = {
    "high-availability.type": "kubernetes",
    "kubernetes.operator.job.savepoint-on-deletion": "true",
}
"""Without these a job's state is lost with its JobManager, or with its deployment."""
CREDENTIALS = ("s3.access-key", "s3.secret-key")
RUNS = "jsonpath={.status.lifecycleState}=STABLE"


@dataclass(frozen=True, kw_only=True)
class AgentKafka:
    """The brokers of an agent's topics."""

    cluster_arn: pulumi.Input[str]
    bootstrap_servers: pulumi.Input[str]
    cidrs: Sequence[pulumi.Input[str]]
    """Blocks that the brokers' addresses are in."""


@dataclass(frozen=True, kw_only=True)
class FlinkApplicationArgs:
    """One agent of the plan, and where it runs.

    Raises:
        HeadraceError: deployment and agent are not each other's, the image has no digest, state could be
            lost, a credential is given in clear, the model's key is missing or is nobody's, a model is
            none of Bedrock's, or a block is everybody's.
    """

    deployment: DeploymentPlan
    agent: AgentPlan
    image: pulumi.Input[str]
    """As `AgentImage.at` gives it."""
    cluster_name: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    kubeconfig: pulumi.Input[str]
    """Of that cluster, without a credential: an upgrade is conducted by it."""
    namespace: pulumi.Input[str]
    operator_namespace: str
    kafka: AgentKafka
    state: StateBuckets
    tags: Tags
    manifest: Manifest | None = None
    """Of the agent as the image has it, by which a preview tells what a change leads to. None: it is told by
    the declaration alone."""
    model_key: SecretKey | None = None
    """Where the key of the agent's model is kept in the cluster."""
    bedrock_models: Sequence[str] = ()
    """ARNs of what the agent may invoke in Bedrock."""
    scraper_cidrs: Sequence[pulumi.Input[str]] = ()
    """Blocks that Prometheus reads from; none: nobody reads metrics."""
    collector_namespace: str | None = None
    """Of the collector of nodes, where traces go to it; a receiver elsewhere is reached by TLS."""

    def __post_init__(self) -> None:
        plan, agent, name = self.deployment, self.agent, self.deployment.name
        if name != agent.name:
            raise HeadraceError(f"agent {agent.name}: given the deployment of {name}; allowed: its own")
        if not DEPLOYMENT_NAME.fullmatch(name):
            raise HeadraceError(
                f"agent {name}: given a name of {len(name)} characters; allowed: at most 45 on Kubernetes, "
                "of lowercase letters, digits and dashes"
            )
        if isinstance(self.image, str):
            pinned(self.image)
        if plan.upgrade_mode not in UPGRADE_MODES:
            raise HeadraceError(
                f"agent {name}: given upgrade mode {plan.upgrade_mode}; allowed: {', '.join(UPGRADE_MODES)}, "
                "as another forgets what the agent knows"
            )
        configuration = plan.flink.configuration | agent.spec.flink_configuration
        for option, value in REQUIRED.items():
            if (given := configuration.get(option)) != value:
                raise HeadraceError(
                    f"agent {name}: given {option} {given}; allowed: {value}, or its state could be lost"
                )
        for option in CREDENTIALS:
            if option in configuration:
                raise HeadraceError(f"agent {name}: given {option}; allowed: none, as its pods have a role")
        self._refuse_model_key()
        refuse_unknown_models(name, self.bedrock_models)
        refuse_open_blocks(f"agent {name}", (*self.kafka.cidrs, *self.scraper_cidrs))

    def _refuse_model_key(self) -> None:
        named, variables = self.agent.name, sorted(set(self.agent.key_variables.values()))
        if len(variables) > 1:
            raise HeadraceError(
                f"agent {named}: given keys in {', '.join(variables)}; allowed: one variable for all of its "
                "models, as its pods are given one key"
            )
        if variables and self.model_key is None:
            raise HeadraceError(
                f"agent {named}: given no secret for its model's key, declared as {variables[0]}; "
                "allowed: a secret of the cluster and its key"
            )
        if self.model_key and not variables:
            raise HeadraceError(
                f"agent {named}: given a secret for its model's key; allowed: none, as no key is declared"
            )


class FlinkApplication(pulumi.ComponentResource):
    """An agent's job in application mode, with high availability, savepoints and rollback by the operator.

    Its specification is an annotation of its JobManagers, which read it as a file: the operator's rollback
    takes it back with the image and the configuration.

    >>> triage = FlinkApplication(
    ...     "dev-support-triage",
    ...     FlinkApplicationArgs(
    ...         deployment=plan.deployments[0],
    ...         agent=plan.agents[0],
    ...         image=images.at("sha256:..."),
    ...         cluster_name=cluster.name,
    ...         cluster_arn=cluster.arn,
    ...         kubeconfig=cluster.kubeconfig,
    ...         namespace=namespace.namespace,
    ...         operator_namespace="flink-operator",
    ...         kafka=AgentKafka(
    ...             cluster_arn=kafka.cluster_arn,
    ...             bootstrap_servers=kafka.bootstrap_servers,
    ...             cidrs=plan.network.private_subnets,
    ...         ),
    ...         state=StateBuckets(
    ...             names=storage.bucket_names, arns=storage.bucket_arns, key_arn=storage.key_arn
    ...         ),
    ...         tags=Tags(environment="dev", owner="data", cost_centre="4711"),
    ...         model_key=SecretKey(secret="models", key="support-triage"),
    ...     ),
    ...     pulumi.ResourceOptions(provider=cluster.provider, depends_on=[operator, *kafka.topics.values()]),
    ... )  # doctest: +SKIP
    """

    role_arn: pulumi.Output[str]
    service_account: pulumi.Output[str]
    rest_service: pulumi.Output[str]
    """``SERVICE.NAMESPACE`` of Flink's page, for `kubectl port-forward`: nothing exposes it."""

    def __init__(
        self, name: str, args: FlinkApplicationArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("headrace:aws:FlinkApplication", name, None, opts)
        self._name, self._args, self._child = name, args, pulumi.ResourceOptions(parent=self)
        account, rights = self._service_account()
        identity = PodIdentity(
            f"{name}-identity",
            PodIdentityArgs(
                cluster_name=args.cluster_name,
                cluster_arn=args.cluster_arn,
                namespace=args.namespace,
                service_account=account.metadata["name"],
                statements=agent_rights(
                    args.agent.spec, args.kafka.cluster_arn, args.state, args.bedrock_models
                ),
                tags=args.tags,
            ),
            self._child,
        )
        traffic = AgentTraffic(
            f"{name}-traffic",
            AgentTrafficArgs(
                agent=args.agent.name,
                namespace=args.namespace,
                ports=args.deployment.pods.ports,
                operator_namespace=args.operator_namespace,
                kafka_cidrs=args.kafka.cidrs,
                scraper_cidrs=args.scraper_cidrs,
                collector_namespace=args.collector_namespace,
            ),
            self._child,
        )
        budgets = [self._budget(component) for component in (JOBMANAGER, TASKMANAGER)]
        self._deployment(account, [rights, identity, traffic, *budgets])
        self.role_arn = identity.role_arn
        self.service_account = account.metadata["name"]
        self.rest_service = pulumi.Output.concat(args.agent.name, "-rest.", args.namespace)
        self.register_outputs(
            {
                "role_arn": self.role_arn,
                "service_account": self.service_account,
                "rest_service": self.rest_service,
            }
        )

    def _service_account(self) -> tuple[k8s.core.v1.ServiceAccount, k8s.rbac.v1.RoleBinding]:
        """Who the pods are to Kubernetes: Flink starts TaskManagers and keeps its leader in ConfigMaps."""
        name, agent, namespace = self._name, self._args.agent.name, self._args.namespace
        metadata: k8s.meta.v1.ObjectMetaArgsDict = {"name": agent, "namespace": namespace}
        account = k8s.core.v1.ServiceAccount(name, metadata=metadata, opts=self._child)
        verbs = ["get", "list", "watch", "create", "update", "patch", "delete"]
        role = k8s.rbac.v1.Role(
            name,
            metadata=metadata,
            rules=[
                {"api_groups": [""], "resources": ["pods", "configmaps"], "verbs": verbs},
                # Its own, which is the owner of what Flink makes.
                {
                    "api_groups": ["apps"],
                    "resources": ["deployments"],
                    "resource_names": [agent],
                    "verbs": ["get", "delete"],
                },
            ],
            opts=self._child,
        )
        binding = k8s.rbac.v1.RoleBinding(
            name,
            metadata=metadata,
            role_ref={
                "api_group": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": role.metadata["name"],
            },
            subjects=[{"kind": "ServiceAccount", "name": account.metadata["name"], "namespace": namespace}],
            opts=self._child,
        )
        return account, binding

    def _budget(self, component: str) -> k8s.policy.v1.PodDisruptionBudget:
        agent = self._args.agent.name
        return k8s.policy.v1.PodDisruptionBudget(
            f"{self._name}-{component}s",
            metadata={"name": f"{agent}-{component}s", "namespace": self._args.namespace},
            spec={"max_unavailable": 1, "selector": {"match_labels": labels(agent, component)}},
            opts=self._child,
        )

    def _deployment(self, account: k8s.core.v1.ServiceAccount, needs: Sequence[pulumi.Resource]) -> None:
        args, plan = self._args, self._args.deployment
        spec = flink_deployment(
            plan,
            args.agent,
            DeploymentPlace(
                image=args.image,
                service_account=account.metadata["name"],
                buckets=args.state.names,
                job=_job(args),
                model_key=args.model_key,
            ),
        )
        upgrade = pulumi.CustomResource(
            f"{PACKAGE}:index:AgentUpgrade",
            self._name,
            {
                "agent": args.agent.name,
                "namespace": args.namespace,
                "kubeconfig": args.kubeconfig,
                "deployment": pulumi.Output.json_dumps(spec, sort_keys=True),
                "pod": pulumi.Output.json_dumps(upgrade_pod(plan, account.metadata["name"])),
                "rest_port": plan.pods.ports.rest,
                "manifest": args.manifest.canonical() if args.manifest else "",
                "healthy_for_s": args.agent.healthy_for_ms / 1000,
                "drains_runs": args.agent.drains_runs,
            },
            # What the new version may do and reach it has to by then.
            pulumi.ResourceOptions(parent=self, depends_on=needs),
        )
        k8s.apiextensions.CustomResource(
            self._name,
            api_version=API_VERSION,
            kind=KIND,
            metadata={
                "name": args.agent.name,
                "namespace": args.namespace,
                # Fields that an upgrade has changed are its manager's: the engine takes them over.
                "annotations": {"pulumi.com/waitFor": RUNS, "pulumi.com/patchForce": "true"},
            },
            spec=spec,
            # Two with one name can't be: they are the same Flink cluster. A change has been made by then, and
            # where it was undone, this stays as it is.
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*needs, upgrade], delete_before_replace=True
            ),
        )


def _job(args: FlinkApplicationArgs) -> pulumi.Output[str]:
    """The specification as JSON, with what is known only when the resources are."""
    spec = args.agent.spec_with_keys(dict.fromkeys(args.agent.key_variables, model_key_file()))
    storage = storage_options(args.agent.name, args.state.names)

    def written(known: dict[str, str]) -> str:
        servers, image = known.pop("servers"), known.pop("image")
        return spec.model_copy(
            update={
                "kafka": spec.kafka.model_copy(update={"bootstrap_servers": servers}),
                "flink_configuration": spec.flink_configuration | known,
                # Other code is another image.
                "code": pinned(image)[1],
            }
        ).model_dump_json()

    return pulumi.Output.all(**storage, servers=args.kafka.bootstrap_servers, image=args.image).apply(written)
