"""The watch of a source's replication slot: a pod that asks its server, and that Prometheus reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from headrace.aws.collector_config import HEALTH_PORT
from headrace.aws.observed import ObservedCluster
from headrace.aws.pod_identity import PodIdentity, PodIdentityArgs
from headrace.aws.pods import SECURED, on_nodes_of, restricted
from headrace.aws.slot_watch_config import METRICS_PORT, slot_watch_config
from headrace.aws.source_database import SourceDatabase, secret_rights
from headrace.aws.tags import Tags
from headrace.aws.traffic import (
    HTTP,
    HTTPS,
    NAMES,
    POD_IDENTITY_AGENT,
    at,
    blocks,
    network_policy,
    rule,
)
from headrace.plan.aws.cluster_names import SLOT_WATCH
from headrace.plan.model import PostgresqlSourcePlan

USER = 10_001
"""The image's own; it has no other."""
MEMORY_MIB, CPU = 128, "25m"
CONFIG_FOLDER, CONFIG_FILE = "/etc/otelcol", "config.yaml"


@dataclass(frozen=True, kw_only=True)
class WatchedSlot:
    """Whose slot it is, where that is, and which nodes the pod runs on."""

    source: PostgresqlSourcePlan
    database: SourceDatabase
    node_pool: str
    scraper_cidrs: Sequence[pulumi.Input[str]]
    """Where Prometheus' scraper comes from."""
    connector: pulumi.Resource
    """That makes the slot: before it there is none, which would be an alert."""


@dataclass(frozen=True, kw_only=True)
class SlotWatchArgs:
    """The slot, and what its watch shares with other pods."""

    slot: WatchedSlot
    cluster: ObservedCluster
    namespace: pulumi.Input[str]
    """The collector's, which is closed but for what is opened here."""
    image: str
    """A collector with the receiver ``sqlquery``, the exporter ``prometheus`` and the provider
    ``secretsmanager``: the contributors' distribution."""
    tags: Tags


class SlotWatch(pulumi.ComponentResource):
    """One pod, with a role that may read this source's secret alone. It has no token of Kubernetes."""

    def __init__(self, name: str, args: SlotWatchArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:aws:SlotWatch", name, None, opts)
        child, slot = pulumi.ResourceOptions(parent=self), args.slot
        called = f"{SLOT_WATCH}-{slot.source.name}"
        labels = {"app.kubernetes.io/name": SLOT_WATCH, "app.kubernetes.io/instance": slot.source.name}
        identity = PodIdentity(
            name,
            PodIdentityArgs(
                cluster_name=args.cluster.name,
                cluster_arn=args.cluster.arn,
                namespace=args.cluster.collector_namespace,
                service_account=called,
                statements=secret_rights(slot.database),
                tags=args.tags,
            ),
            child,
        )
        network_policy(
            name,
            called,
            args.namespace,
            labels,
            child,
            ingress=[rule("from", blocks(slot.scraper_cidrs), METRICS_PORT)],
            egress=[
                NAMES,
                # A host's name has no address that stays: of the database its port is opened.
                {"ports": [*at(HTTPS), {"protocol": "TCP", "port": slot.database.port}]},
                rule("to", blocks([POD_IDENTITY_AGENT]), HTTP),
            ],
        )
        config = pulumi.Output.all(slot.database.host, slot.database.port).apply(
            lambda known: slot_watch_config(slot.source, known[0], int(known[1]), slot.database.secret_arn)
        )
        metadata: Any = {"name": called, "namespace": args.namespace}
        files = k8s.core.v1.ConfigMap(name, metadata=metadata, data={CONFIG_FILE: config}, opts=child)
        account = k8s.core.v1.ServiceAccount(
            name, metadata=metadata, automount_service_account_token=False, opts=child
        )
        labelled: Any = {**metadata, "labels": labels}
        spec: Any = {
            "replicas": 1,
            # Two would say everything twice, for a moment.
            "strategy": {"type": "Recreate"},
            "selector": {"match_labels": labels},
            "template": {
                # Another configuration is another pod: the collector reads it once.
                "metadata": {
                    "labels": labels,
                    "annotations": {"headrace.dev/config": config.apply(_digest)},
                },
                "spec": _pod(called, args),
            },
        }
        k8s.apps.v1.Deployment(
            name,
            metadata=labelled,
            spec=spec,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[files, account, identity.association, slot.connector]
            ),
        )
        self.register_outputs({})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _pod(called: str, args: SlotWatchArgs) -> Any:
    memory = f"{MEMORY_MIB}Mi"
    return {
        "serviceAccountName": called,
        "automountServiceAccountToken": False,
        "securityContext": restricted(USER),
        **on_nodes_of(args.slot.node_pool),
        "containers": [
            {
                "name": SLOT_WATCH,
                "image": args.image,
                "args": [f"--config={CONFIG_FOLDER}/{CONFIG_FILE}"],
                "ports": [{"name": "metrics", "containerPort": METRICS_PORT}],
                "resources": {"requests": {"cpu": CPU, "memory": memory}, "limits": {"memory": memory}},
                "securityContext": SECURED,
                "livenessProbe": {"httpGet": {"path": "/", "port": HEALTH_PORT}},
                "volumeMounts": [{"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True}],
            }
        ],
        "volumes": [{"name": "config", "configMap": {"name": called}}],
    }
