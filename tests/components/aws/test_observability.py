"""Observability: what is watched and by which rules, whom alarms reach, and how little the collector may."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import Any

import pytest
import yaml

from headrace.aws import Observability, ObservabilityArgs, ObservedCluster
from headrace.aws.alert_rules import alert_rules
from headrace.aws.scraping import scrape_configuration
from headrace.errors import HeadraceError
from tests.components.aws.cloud import (
    ACCOUNT,
    REGION,
    TAGS,
    arn,
    assert_house_rules,
    built,
    inputs,
    kinds,
    statements,
)
from tests.components.aws.planned import planned
from tests.components.recording import Registered

PLAN = planned()
CLUSTER_ARN = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/dev"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
IMAGE = "otel/opentelemetry-collector-contrib@sha256:" + "a" * 64
ALARM, GROUP = "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:cloudwatch/logGroup:LogGroup"
WORKSPACE, KEY = "aws:amp/workspace:Workspace", "aws:kms/key:Key"
PINNED = "REPOSITORY@sha256: and 64 hexadecimal digits, as tags move"
DAEMONS, POLICY = "kubernetes:apps/v1:DaemonSet", "kubernetes:networking.k8s.io/v1:NetworkPolicy"


def arguments(**changed: Any) -> ObservabilityArgs:
    args: dict[str, Any] = {
        "deployments": PLAN.deployments,
        "connectors": [each.name for each in PLAN.connect.connectors],
        "kafka_cluster_arn": f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/dev-kafka/uuid-1",
        "cluster": observed("subnet-a", "subnet-b"),
        "region": REGION,
        "collector_image": IMAGE,
        "alarm_topic_arn": TOPIC,
        "log_days": 30,
        "tags": TAGS,
    }
    return ObservabilityArgs(**args | changed)


def observed(*subnets: str) -> ObservedCluster:
    return ObservedCluster(name="dev", arn=CLUSTER_ARN, subnet_ids=subnets, security_group_id="sg-cluster")


def observability(name: str = "dev", **changed: Any) -> Registered:
    return built(lambda: Observability(name, arguments(**changed)))


def pod(stack: Registered) -> dict[str, Any]:
    found: dict[str, Any] = inputs(stack, DAEMONS, "dev-collector")["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("connectors", [[], ["support"], ["support", "orders", "billing"]])
def test_exactly_these_resources(connectors: list[str]) -> None:
    stack = observability(connectors=connectors)
    expected = Counter(
        {
            "headrace:aws:Observability": 1,
            "headrace:aws:Prometheus": 1,
            "headrace:aws:ConnectorAlarms": 1,
            "headrace:aws:Collector": 1,
            "headrace:aws:PodIdentity": 1,
            GROUP: 2,
            KEY: 1,
            "aws:kms/alias:Alias": 1,
            WORKSPACE: 1,
            "aws:amp/scraper:Scraper": 1,
            "aws:amp/ruleGroupNamespace:RuleGroupNamespace": 1,
            "aws:amp/alertManagerDefinition:AlertManagerDefinition": 1,
            ALARM: len(connectors),
            "aws:iam/role:Role": 1,
            "aws:iam/rolePolicy:RolePolicy": 1,
            "aws:eks/podIdentityAssociation:PodIdentityAssociation": 1,
            "aws:cloudwatch/dashboard:Dashboard": 1,
            "kubernetes:core/v1:Namespace": 1,
            "kubernetes:core/v1:ConfigMap": 1,
            "kubernetes:core/v1:Service": 1,
            "kubernetes:core/v1:ServiceAccount": 1,
            DAEMONS: 1,
            POLICY: 2,
        }
    )
    assert kinds(stack) == +expected
    assert_house_rules(stack, "dev")


def test_metrics_are_encrypted_and_scraped_from_within_the_network() -> None:
    stack = observability()
    assert inputs(stack, WORKSPACE, "dev-metrics")["kmsKeyArn"] == arn(KEY, "dev-metrics")
    scraper = inputs(stack, "aws:amp/scraper:Scraper", "dev-metrics")
    assert scraper["source"]["eks"] == {
        "clusterArn": CLUSTER_ARN,
        "subnetIds": ["subnet-a", "subnet-b"],
        "securityGroupIds": ["sg-cluster"],
    }
    assert scraper["destination"] == {"amp": {"workspaceArn": arn(WORKSPACE, "dev-metrics")}}
    assert scraper["scrapeConfiguration"] == scrape_configuration(None)


def test_of_a_shared_cluster_the_stacks_own_nodes_and_pods_alone_are_read() -> None:
    shared = dataclasses.replace(
        observed("subnet-a", "subnet-b"),
        node_pools=["dev-jobmanagers", "dev-taskmanagers"],
        agents_namespace="dev-flink",
        collector_namespace="dev-observability",
    )
    stack = observability(cluster=shared)
    affinity = pod(stack)["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert affinity == {
        "nodeSelectorTerms": [
            {
                "matchExpressions": [
                    {"key": "headrace.dev/role", "operator": "In", "values": list(shared.node_pools)}
                ]
            }
        ]
    }
    space = inputs(stack, "kubernetes:core/v1:Namespace", "dev-collector")["metadata"]["name"]
    identity = inputs(stack, "aws:eks/podIdentityAssociation:PodIdentityAssociation", "dev-collector")
    assert (space, identity["namespace"]) == ("dev-observability", "dev-observability")
    scraped = yaml.safe_load(inputs(stack, "aws:amp/scraper:Scraper", "dev-metrics")["scrapeConfiguration"])
    flink, containers = scraped["scrape_configs"]
    assert flink["kubernetes_sd_configs"] == [{"role": "pod", "namespaces": {"names": ["dev-flink"]}}]
    only = {"source_labels": ["namespace"], "action": "keep", "regex": "dev-flink"}
    assert only in containers["metric_relabel_configs"]
    assert "affinity" not in pod(observability())
    assert "dev-flink" not in scrape_configuration(None)


def test_rules_are_the_plans_and_their_alerts_reach_the_topic() -> None:
    stack = observability()
    rules = inputs(stack, "aws:amp/ruleGroupNamespace:RuleGroupNamespace", "dev-metrics")
    assert (rules["workspaceId"], rules["data"]) == ("dev-metrics", alert_rules(PLAN.deployments))
    told = inputs(stack, "aws:amp/alertManagerDefinition:AlertManagerDefinition", "dev-metrics")
    config = yaml.safe_load(yaml.safe_load(told["definition"])["alertmanager_config"])
    (receiver,) = config["receivers"]
    assert config["route"]["receiver"] == receiver["name"]
    (sns,) = receiver["sns_configs"]
    assert (sns["topic_arn"], sns["sigv4"]) == (TOPIC, {"region": REGION})


def test_a_connector_without_a_running_task_is_an_alarm_also_when_it_says_nothing() -> None:
    alarm = inputs(observability(connectors=["support"]), ALARM, "dev-capture-support")
    assert (alarm["metricName"], alarm["dimensions"]) == ("RunningTaskCount", {"ConnectorName": "support"})
    assert (alarm["comparisonOperator"], alarm["threshold"]) == ("LessThanThreshold", 1)
    assert alarm["treatMissingData"] == "breaching"
    assert alarm["alarmActions"] == alarm["okActions"] == [TOPIC]


@pytest.mark.parametrize("days", [7, 90])
def test_logs_go_by_age(days: int) -> None:
    stack = observability(log_days=days)
    kept = {found["inputs"]["retentionInDays"] for key, found in stack.items() if key.startswith(GROUP)}
    assert kept == {days}


def test_the_collectors_role_is_its_own_pods_and_may_two_things() -> None:
    stack = observability()
    (who,) = statements(inputs(stack, "aws:iam/role:Role", "dev-collector")["assumeRolePolicy"])
    assert who["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert who["Condition"]["StringEquals"] == {
        "aws:SourceAccount": ACCOUNT,
        "aws:RequestTag/eks-cluster-arn": CLUSTER_ARN,
        "aws:RequestTag/kubernetes-namespace": "observability",
        "aws:RequestTag/kubernetes-service-account": "collector",
    }
    logs, traces = statements(inputs(stack, "aws:iam/rolePolicy:RolePolicy", "dev-collector")["policy"])
    assert logs["Resource"] == [arn(GROUP, "dev-pods") + ":*"]
    assert logs["Action"] == ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    assert traces["Action"] == ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
    association = inputs(stack, "aws:eks/podIdentityAssociation:PodIdentityAssociation", "dev-collector")
    assert (association["namespace"], association["serviceAccount"]) == ("observability", "collector")
    assert stack[f"{DAEMONS} dev-collector"]["depends_on"].count("dev-collector") >= 1


def test_the_collector_is_a_pinned_image_that_can_do_nothing_but_read_logs() -> None:
    spec = pod(observability())
    (container,) = spec["containers"]
    assert container["image"] == IMAGE
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    host = {each["name"]: each["hostPath"]["path"] for each in spec["volumes"] if "hostPath" in each}
    assert host == {"logs": "/var/log/pods"}
    (mounted,) = (each for each in container["volumeMounts"] if each["name"] == "logs")
    assert mounted["readOnly"] is True
    assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]


def test_pods_alone_reach_the_collector_and_it_reaches_aws_alone() -> None:
    stack = observability()
    closed = inputs(stack, POLICY, "dev-collector-closed")["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ways = inputs(stack, POLICY, "dev-collector-collector")["spec"]
    (way_in,) = ways["ingress"]
    assert way_in == {"from": [{"namespaceSelector": {}}], "ports": [{"protocol": "TCP", "port": 4317}]}
    ports = {(port["protocol"], port["port"]) for way in ways["egress"] for port in way["ports"]}
    assert ports == {("UDP", 53), ("TCP", 53), ("TCP", 443), ("TCP", 80)}
    (credentials,) = (way for way in ways["egress"] if way["ports"][0]["port"] == 80)
    assert credentials["to"] == [{"ipBlock": {"cidr": "169.254.170.23/32"}}]


def test_every_pipeline_is_made_of_parts_that_are_configured() -> None:
    config = json.loads(
        inputs(observability(), "kubernetes:core/v1:ConfigMap", "dev-collector")["data"]["config.yaml"]
    )
    assert config["exporters"]["awscloudwatchlogs"] == {
        "region": REGION,
        "log_group_name": "dev-pods",
        "log_stream_name": "${env:NODE}",
    }
    assert config["service"]["pipelines"].keys() == {"logs", "traces"}
    for pipeline in config["service"]["pipelines"].values():
        for part, names in pipeline.items():
            assert set(names) <= config[part].keys()
    assert set(config["service"]["extensions"]) == config["extensions"].keys()
    assert config["receivers"]["filelog"]["storage"] in config["extensions"]


def test_another_configuration_is_another_pod() -> None:
    digests = {
        inputs(observability(region=region), DAEMONS, "dev-collector")["spec"]["template"]["metadata"][
            "annotations"
        ]["headrace.dev/config"]
        for region in (REGION, "us-east-1")
    }
    assert len(digests) == 2


def test_the_page_shows_kafka_each_connector_and_errors() -> None:
    made = inputs(
        observability(connectors=["support"]), "aws:cloudwatch/dashboard:Dashboard", "dev-dashboard"
    )
    assert made["dashboardName"] == "headrace-dev-dev"
    widgets = json.loads(made["dashboardBody"])["widgets"]
    shown = json.dumps(widgets)
    assert '"ConnectorName", "support"' in shown
    assert '"Cluster Name", "dev-kafka"' in shown
    assert "SOURCE 'dev-pods'" in shown
    places = [(each["x"], each["y"]) for each in widgets]
    assert len(set(places)) == len(places)


def test_names_of_long_environments_fit() -> None:
    stack = observability("a" * 110)
    for kind in (WORKSPACE, "aws:amp/scraper:Scraper"):
        (alias,) = (found["inputs"]["alias"] for key, found in stack.items() if key.startswith(kind))
        assert len(alias) <= 100


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"deployments": []}, "observability: given no deployments; allowed: one or more, of the plan"),
        (
            {"collector_image": "otelcol:1"},
            f"observability, collector's image: given 'otelcol:1'; allowed: {PINNED}",
        ),
        (
            {"cluster": observed("subnet-a")},
            "observability: given 1 subnets for the scraper; allowed: 2 or more, in as many zones",
        ),
    ],
)
def test_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(HeadraceError) as refused:
        arguments(**changed)
    assert str(refused.value) == message


def test_days_that_cloudwatch_does_not_know_are_refused() -> None:
    with pytest.raises(HeadraceError, match=r"given logs for 31 days; allowed: 1, 3, 5, 7, .*, 3653"):
        arguments(log_days=31)
