"""The Flink Kubernetes Operator: two replicas of which one leads, kept to its namespaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as k8s

from headrace.aws.flink_image import OPERATOR_VERSION, USER
from headrace.aws.namespace import LABEL
from headrace.aws.pods import HOST, SECURED, ZONE, on_nodes_of, pinned, restricted, spread
from headrace.aws.traffic import HTTPS, NAMES, blocks, network_policy, pods, refuse_open_blocks, rule
from headrace.errors import HeadraceError
from headrace.plan.aws.model import OperatorPlan

RELEASE = "flink-kubernetes-operator"
OPERATOR_PODS: Mapping[str, str] = {"app.kubernetes.io/name": "flink-kubernetes-operator"}
"""The chart's labels of its pods."""
JOBMANAGERS: Mapping[str, str] = {"type": "flink-native-kubernetes", "component": "jobmanager"}
"""Flink's labels of any job's JobManagers."""
LEADER_ELECTION = "kubernetes.operator.leader-election.enabled"
WEBHOOK_PORT, TMP_VOLUME = 9443, "tmp"
READY_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class SecretKey:
    """A key of a Kubernetes secret: a reference, never what is in it.

    Raises:
        HeadraceError: the secret's name is none that Kubernetes takes, or the key is empty.
    """

    secret: str
    key: str

    def __post_init__(self) -> None:
        # What was given is not quoted: it may be the secret itself.
        if not LABEL.fullmatch(self.secret) or not self.key:
            raise HeadraceError(
                "secret: what is given names none; allowed: a secret's name, of lowercase letters, digits "
                "and dashes, and one of its keys"
            )


@dataclass(frozen=True, kw_only=True)
class FlinkOperatorArgs:
    """Where the operator comes from, where it runs, and whose deployments it looks after.

    Raises:
        HeadraceError: the chart does not come by TLS or carries a login, the image has no digest, no
            namespace is watched, replicas do not elect a leader, or the API server's blocks are everybody's.
    """

    operator: OperatorPlan
    chart: str
    """A folder, an archive's path or `https://` address, or an `oci://` reference. There is no default: it
    is fetched from wherever the program's owner trusts."""
    image: str
    """``REPOSITORY@sha256:...``"""
    namespace: pulumi.Input[str]
    watched_namespaces: Sequence[str]
    control_plane_cidrs: Sequence[pulumi.Input[str]]
    """Blocks that the API server's addresses are in: the cluster's subnets', and the services'."""
    rest_port: int
    """Of the watched deployments, as the plan has it."""
    scraper_cidrs: Sequence[pulumi.Input[str]] = ()
    """Blocks that Prometheus reads from; none: nobody reads metrics."""
    webhook_password: SecretKey | None = None
    """Of the webhook's key store; the webhook's certificate needs cert-manager in the cluster. ``None``: no
    webhook; the API server checks fields, and the operator the rest, in a deployment's status."""

    def __post_init__(self) -> None:
        _refuse_chart(self.chart)
        pinned(self.image)
        if not self.watched_namespaces:
            raise HeadraceError("operator: given no namespace to watch; allowed: one or more, not all")
        for namespace in self.watched_namespaces:
            if not LABEL.fullmatch(namespace):
                raise HeadraceError(
                    f"operator: given namespace {namespace!r} to watch; allowed: 1 to 63 lowercase letters, "
                    "digits and dashes"
                )
        elects = self.operator.configuration.get(LEADER_ELECTION) == "true"
        if self.operator.replicas > 1 and not elects:
            raise HeadraceError(
                f"operator: given {self.operator.replicas} replicas without {LEADER_ELECTION}; allowed: with "
                "it, as two that lead undo each other's work"
            )
        if not self.control_plane_cidrs:
            raise HeadraceError("operator: given no block of the API server; allowed: one or more")
        refuse_open_blocks("operator", (*self.control_plane_cidrs, *self.scraper_cidrs))


class FlinkOperator(pulumi.ComponentResource):
    """The operator's Helm chart as one release, with what keeps its pods up and its traffic in.

    Deleting it leaves the definitions of its custom resources, and so the deployments, in the cluster. A
    deployment waits for it, as it is what ends a deleted one with a savepoint.

    >>> operator = FlinkOperator(
    ...     "dev-operator",
    ...     FlinkOperatorArgs(
    ...         operator=plan.operator,
    ...         chart="charts/flink-kubernetes-operator-1.15.0.tgz",
    ...         image="registry.example/flink-kubernetes-operator@sha256:...",
    ...         namespace=namespace.namespace,
    ...         watched_namespaces=["flink"],
    ...         control_plane_cidrs=[*plan.network.private_subnets, cluster.service_cidr],
    ...         rest_port=plan.deployments[0].pods.ports.rest,
    ...     ),
    ...     pulumi.ResourceOptions(provider=cluster.provider),
    ... )  # doctest: +SKIP
    """

    release: k8s.helm.v3.Release
    namespace: pulumi.Output[str]
    """Its own, which deployments let in."""

    def __init__(
        self, name: str, args: FlinkOperatorArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("headrace:aws:FlinkOperator", name, None, opts)
        self._name, self._args, self._child = name, args, pulumi.ResourceOptions(parent=self)
        policy = self._traffic()
        self.release = k8s.helm.v3.Release(
            name,
            name=RELEASE,
            chart=args.chart,
            version=OPERATOR_VERSION,
            namespace=args.namespace,
            values=_values(args),
            # One that does not come up is undone, and not left half there.
            atomic=True,
            timeout=READY_SECONDS,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        k8s.policy.v1.PodDisruptionBudget(
            name,
            metadata={"name": RELEASE, "namespace": args.namespace},
            spec={"max_unavailable": 1, "selector": {"match_labels": dict(OPERATOR_PODS)}},
            opts=self._child,
        )
        self.namespace = pulumi.Output.from_input(args.namespace)
        self.register_outputs({"namespace": self.namespace})

    def _traffic(self) -> k8s.networking.v1.NetworkPolicy:
        """The API server both ways, Flink's REST interface, Prometheus; nothing else."""
        args = self._args
        ingress: list[dict[str, Any]] = []
        control_plane = blocks(args.control_plane_cidrs)
        if args.webhook_password:
            ingress.append(rule("from", control_plane, WEBHOOK_PORT))
        if args.scraper_cidrs:
            ingress.append(rule("from", blocks(args.scraper_cidrs), args.operator.metrics_port))
        egress = [
            NAMES,
            rule("to", control_plane, HTTPS),
            rule("to", [pods(JOBMANAGERS, *args.watched_namespaces)], args.rest_port),
        ]
        return network_policy(
            self._name, RELEASE, args.namespace, OPERATOR_PODS, self._child, ingress=ingress, egress=egress
        )


def _values(args: FlinkOperatorArgs) -> dict[str, Any]:
    """The chart's values, by the names of the operator's documentation (operations, Helm)."""
    repository, digest = pinned(args.image)
    plan, memory = args.operator, f"{args.operator.memory_mib}Mi"
    size = {"requests": {"cpu": plan.cpu, "memory": memory}, "limits": {"memory": memory}}
    return {
        "image": {"repository": repository, "digest": digest},
        "replicas": plan.replicas,
        "strategy": {"type": "RollingUpdate"},
        "watchNamespaces": list(args.watched_namespaces),
        # Jobs have accounts and rights of their own, each of its own.
        "rbac": {"create": True, "jobRole": {"create": False}, "jobRoleBinding": {"create": False}},
        "jobServiceAccount": {"create": False},
        "podSecurityContext": restricted(USER),
        "operatorSecurityContext": dict(SECURED),
        # The chart gives the webhook's container no volume to write to, which a JVM wants.
        "webhookSecurityContext": {**SECURED, "readOnlyRootFilesystem": False},
        "operatorPod": {
            **on_nodes_of(plan.node_pool),
            "topologySpreadConstraints": [
                spread(HOST, OPERATOR_PODS, must=True),
                spread(ZONE, OPERATOR_PODS, must=False),
            ],
            "resources": size,
            "webhook": {"resources": size},
        },
        "operatorVolumes": {
            "create": True,
            "data": [{"name": name, "emptyDir": {}} for name in (TMP_VOLUME, "flink-artifacts")],
        },
        "operatorVolumeMounts": {
            "create": True,
            "data": [
                {"name": TMP_VOLUME, "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
                {"name": "flink-artifacts", "mountPath": "/opt/flink/artifacts"},
            ],
        },
        "webhook": _webhook(args.webhook_password),
        "metrics": {"port": plan.metrics_port},
        "defaultConfiguration": {
            "create": True,
            # Beside the chart's own, which open Java's modules to Flink.
            "append": True,
            "flink-conf.yaml": "".join(
                f"{key}: {value}\n" for key, value in sorted(plan.configuration.items())
            ),
        },
    }


def _webhook(password: SecretKey | None) -> dict[str, Any]:
    if password is None:
        return {"create": False}
    reference = {"name": password.secret, "key": password.key}
    # The chart's own password is the same in every cluster.
    return {"create": True, "keystore": {"useDefaultPassword": False, "passwordSecretRef": reference}}


def _refuse_chart(chart: str) -> None:
    address = urlsplit(chart)
    if address.username or address.password:
        raise HeadraceError("operator: given a chart's address with a login; allowed: one without")
    if address.scheme not in ("", "https", "oci"):
        raise HeadraceError(
            f"operator: given a chart by {address.scheme}; allowed: a path, https:// or oci://"
        )
    if not chart:
        raise HeadraceError("operator: given no chart; allowed: a path, https:// or oci://")
