"""What reaches an agent's pods, and what they reach; all else is closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from headrace.aws.flink_deployment import JOBMANAGER, TASKMANAGER, labels
from headrace.aws.flink_operator import OPERATOR_PODS
from headrace.aws.kafka import IAM_PORT
from headrace.aws.traffic import (
    HTTP,
    HTTPS,
    NAMES,
    POD_IDENTITY_AGENT,
    at,
    blocks,
    network_policy,
    pods,
    rule,
)
from headrace.plan.aws.cluster_names import COLLECTOR_PODS, OTLP_PORT
from headrace.plan.aws.model import PodPortsPlan


@dataclass(frozen=True, kw_only=True)
class AgentTrafficArgs:
    """Whose pods, and who is on the other side."""

    agent: str
    namespace: pulumi.Input[str]
    ports: PodPortsPlan
    operator_namespace: str
    kafka_cidrs: Sequence[pulumi.Input[str]]
    scraper_cidrs: Sequence[pulumi.Input[str]]
    collector_namespace: str | None
    """Of the collector that its traces go to."""


class AgentTraffic(pulumi.ComponentResource):
    """Network policies: into JobManagers, into TaskManagers, and out of both."""

    def __init__(self, name: str, args: AgentTrafficArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:aws:AgentTraffic", name, None, opts)
        self._name, self._args, self._child = name, args, pulumi.ResourceOptions(parent=self)
        ports, own = args.ports, pods(labels(args.agent))
        operator = pods(OPERATOR_PODS, args.operator_namespace)
        metrics = [rule("from", blocks(args.scraper_cidrs), ports.metrics)] if args.scraper_cidrs else []
        self._into(
            JOBMANAGER,
            [
                rule("from", [own], ports.rpc, ports.blob, ports.rest),
                rule("from", [operator], ports.rest),
                *metrics,
            ],
        )
        self._into(
            TASKMANAGER, [rule("from", [own], ports.taskmanager_rpc, ports.taskmanager_data), *metrics]
        )
        inside = (ports.rpc, ports.blob, ports.rest, ports.taskmanager_rpc, ports.taskmanager_data)
        collector = args.collector_namespace
        traces = [rule("to", [pods(COLLECTOR_PODS, collector)], OTLP_PORT)] if collector else []
        self._policy(
            "out",
            labels(args.agent),
            "egress",
            [
                NAMES,
                rule("to", [own], *inside),
                rule("to", blocks(args.kafka_cidrs), IAM_PORT),
                rule("to", blocks([POD_IDENTITY_AGENT]), HTTP),
                # S3 and models have no addresses that stay; TLS and the role are what they are kept by.
                {"ports": at(HTTPS)},
                *traces,
            ],
        )
        self.register_outputs({})

    def _into(self, component: str, rules: Sequence[Mapping[str, Any]]) -> None:
        self._policy(f"{component}s", labels(self._args.agent, component), "ingress", rules)

    def _policy(
        self, what: str, whose: Mapping[str, str], way: str, rules: Sequence[Mapping[str, Any]]
    ) -> None:
        args = self._args
        called = f"{args.agent}-{what}"
        network_policy(f"{self._name}-{what}", called, args.namespace, whose, self._child, **{way: rules})
