"""An OpenTelemetry collector on each node: logs of its containers to CloudWatch, traces to X-Ray."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from headrace.aws.collector_config import (
    HEALTH_PORT,
    POD_LOGS,
    READ_POSITIONS,
    collector_config,
)
from headrace.aws.iam import allow
from headrace.aws.node_pools import ROLE_LABEL
from headrace.aws.observed import ObservedCluster
from headrace.aws.pod_identity import PodIdentity, PodIdentityArgs
from headrace.aws.tags import Tags
from headrace.aws.traffic import (
    HTTP,
    HTTPS,
    NAMES,
    POD_IDENTITY_AGENT,
    at,
    blocks,
    from_anywhere_inside,
    network_policy,
    rule,
)
from headrace.plan.aws.cluster_names import COLLECTOR, COLLECTOR_PODS, OTLP_PORT, collector_endpoint

MEMORY_MIB, CPU = 256, "100m"
POSITIONS_MIB = 16
CONFIG_FOLDER, CONFIG_FILE = "/etc/otelcol", "config.yaml"
POD_SECURITY = "pod-security.kubernetes.io"


@dataclass(frozen=True, kw_only=True)
class CollectorArgs:
    """Where it runs, as which image, and where logs go."""

    cluster: ObservedCluster
    region: str
    image: str
    logs: aws.cloudwatch.LogGroup
    tags: Tags


class Collector(pulumi.ComponentResource):
    """A pod on each node of the cluster's given pools, or on each node where none is given.

    It reads files of the node, and sends what is in them with a role for two things.

    It reads as root, as the kubelet lets nobody else; it has no capability and no token of Kubernetes, and
    writes to no file but its own positions.
    """

    endpoint: str
    """For OTLP over gRPC, from any pod: the collector on its own node answers."""
    namespace: pulumi.Output[str]
    """Its own, which is closed but for what is opened."""

    def __init__(self, name: str, args: CollectorArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:aws:Collector", name, None, opts)
        self._name, self._child = name, pulumi.ResourceOptions(parent=self)
        identity = self._identity(args)
        self.namespace = namespace = self._namespace(args)
        config = args.logs.name.apply(lambda group: collector_config(args.region, group, "${env:NODE}"))
        self._ways(namespace)
        files = k8s.core.v1.ConfigMap(
            name,
            metadata={"name": COLLECTOR, "namespace": namespace},
            data={CONFIG_FILE: config},
            opts=self._child,
        )
        account = k8s.core.v1.ServiceAccount(
            name,
            metadata={"name": COLLECTOR, "namespace": namespace},
            automount_service_account_token=False,
            opts=self._child,
        )
        k8s.apps.v1.DaemonSet(
            name,
            metadata={"name": COLLECTOR, "namespace": namespace, "labels": COLLECTOR_PODS},
            spec={
                "selector": {"match_labels": COLLECTOR_PODS},
                "template": {
                    # Another configuration is another pod: the collector reads it once.
                    "metadata": {
                        "labels": COLLECTOR_PODS,
                        "annotations": {"headrace.dev/config": config.apply(_digest)},
                    },
                    "spec": _pod(args),
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[files, account, identity.association]),
        )
        self.endpoint = collector_endpoint(args.cluster.collector_namespace)
        self.register_outputs({"endpoint": self.endpoint})

    def _identity(self, args: CollectorArgs) -> PodIdentity:
        return PodIdentity(
            self._name,
            PodIdentityArgs(
                cluster_name=args.cluster.name,
                cluster_arn=args.cluster.arn,
                namespace=args.cluster.collector_namespace,
                service_account=COLLECTOR,
                statements=[
                    allow(
                        ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                        [pulumi.Output.concat(args.logs.arn, ":*")],
                    ),
                    # X-Ray knows no resource that a trace could be bound to.
                    allow(["xray:PutTelemetryRecords", "xray:PutTraceSegments"], ["*"]),
                ],
                tags=args.tags,
            ),
            self._child,
        )

    def _namespace(self, args: CollectorArgs) -> pulumi.Output[str]:
        """One of its own, as files of a node can't be read from a restricted one."""
        made = k8s.core.v1.Namespace(
            self._name,
            metadata={
                "name": args.cluster.collector_namespace,
                "labels": {**args.tags.labels, f"{POD_SECURITY}/enforce": "privileged"},
            },
            opts=self._child,
        )
        namespace: pulumi.Output[str] = made.metadata["name"]
        return namespace

    def _ways(self, namespace: pulumi.Output[str]) -> None:
        """In from pods on the same node, out to names, credentials and AWS."""
        network_policy(f"{self._name}-closed", "closed", namespace, {}, self._child, ingress=[], egress=[])
        network_policy(
            f"{self._name}-collector",
            "collector",
            namespace,
            COLLECTOR_PODS,
            self._child,
            ingress=[rule("from", from_anywhere_inside(), OTLP_PORT)],
            egress=[NAMES, {"ports": at(HTTPS)}, rule("to", blocks([POD_IDENTITY_AGENT]), HTTP)],
        )
        k8s.core.v1.Service(
            self._name,
            metadata={"name": COLLECTOR, "namespace": namespace},
            spec={
                "selector": COLLECTOR_PODS,
                "ports": [{"name": "otlp", "port": OTLP_PORT, "target_port": OTLP_PORT}],
                "internal_traffic_policy": "Local",
            },
            opts=self._child,
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _pod(args: CollectorArgs) -> k8s.core.v1.PodSpecArgsDict:
    pod: k8s.core.v1.PodSpecArgsDict = {
        "service_account_name": COLLECTOR,
        "automount_service_account_token": False,
        # Nodes of every role have logs.
        "tolerations": [{"operator": "Exists"}],
        "priority_class_name": "system-node-critical",
        "security_context": {"run_as_user": 0, "seccomp_profile": {"type": "RuntimeDefault"}},
        "containers": [_container(args.image)],
        "volumes": [
            {"name": "config", "config_map": {"name": COLLECTOR}},
            {"name": "logs", "host_path": {"path": POD_LOGS, "type": "Directory"}},
            {"name": "positions", "empty_dir": {"size_limit": f"{POSITIONS_MIB}Mi"}},
        ],
    }
    if pools := list(args.cluster.node_pools):
        pod["affinity"] = {
            "node_affinity": {
                "required_during_scheduling_ignored_during_execution": {
                    "node_selector_terms": [
                        {"match_expressions": [{"key": ROLE_LABEL, "operator": "In", "values": pools}]}
                    ]
                }
            }
        }
    return pod


def _container(image: str) -> k8s.core.v1.ContainerArgsDict:
    memory = f"{MEMORY_MIB}Mi"
    return {
        "name": "collector",
        "image": image,
        "args": [f"--config={CONFIG_FOLDER}/{CONFIG_FILE}"],
        "env": [{"name": "NODE", "value_from": {"field_ref": {"field_path": "spec.nodeName"}}}],
        "ports": [{"name": "otlp", "container_port": OTLP_PORT}],
        "resources": {"requests": {"cpu": CPU, "memory": memory}, "limits": {"memory": memory}},
        "security_context": {
            "allow_privilege_escalation": False,
            "privileged": False,
            "read_only_root_filesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "liveness_probe": {"http_get": {"path": "/", "port": HEALTH_PORT}},
        "volume_mounts": [
            {"name": "config", "mount_path": CONFIG_FOLDER, "read_only": True},
            {"name": "logs", "mount_path": POD_LOGS, "read_only": True},
            {"name": "positions", "mount_path": READ_POSITIONS},
        ],
    }
