"""The operator's release: two that elect a leader, pinned, restricted, and closed but for what it needs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import yaml

from headrace.aws import FlinkOperator, FlinkOperatorArgs, SecretKey
from headrace.errors import HeadraceError
from tests.components.aws.cloud import assert_house_rules, built, inputs, kinds
from tests.components.aws.planned import planned
from tests.components.recording import Registered

PLAN = planned()
DIGEST = "sha256:" + "b" * 64
RELEASE = "kubernetes:helm.sh/v3:Release"
POLICY, BUDGET = "kubernetes:networking.k8s.io/v1:NetworkPolicy", "kubernetes:policy/v1:PodDisruptionBudget"
SUBNETS, SERVICES, SCRAPER = ["10.0.0.0/20", "10.0.16.0/20"], "172.20.0.0/16", "10.0.32.0/20"
PASSWORD = SecretKey(secret="webhook", key="password")
DOCUMENTED = {
    "defaultConfiguration": {"append", "create", "flink-conf.yaml"},
    "image": {"digest", "repository"},
    "jobServiceAccount": {"create"},
    "metrics": {"port"},
    "operatorPod": {"nodeSelector", "resources", "tolerations", "topologySpreadConstraints", "webhook"},
    "operatorSecurityContext": {"allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem"},
    "operatorVolumeMounts": {"create", "data"},
    "operatorVolumes": {"create", "data"},
    "podSecurityContext": {"fsGroup", "runAsGroup", "runAsNonRoot", "runAsUser", "seccompProfile"},
    "rbac": {"create", "jobRole", "jobRoleBinding"},
    "replicas": set(),
    "strategy": {"type"},
    "watchNamespaces": set(),
    "webhook": {"create", "keystore"},
    "webhookSecurityContext": {"allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem"},
}
"""Keys that the operator's documentation (operations, Helm) lists, or that its chart's own values have; the
chart itself is in no registry here."""


def arguments(**changed: Any) -> FlinkOperatorArgs:
    args: dict[str, Any] = {
        "operator": PLAN.operator,
        "chart": "charts/flink-kubernetes-operator-1.15.0.tgz",
        "image": f"registry.example/flink-kubernetes-operator@{DIGEST}",
        "namespace": "flink-operator",
        "watched_namespaces": ["flink"],
        "control_plane_cidrs": [*SUBNETS, SERVICES],
        "rest_port": PLAN.deployments[0].pods.ports.rest,
    }
    return FlinkOperatorArgs(**args | changed)


def operator(**changed: Any) -> Registered:
    return built(lambda: FlinkOperator("dev-operator", arguments(**changed)))


def values(**changed: Any) -> dict[str, Any]:
    found: dict[str, Any] = inputs(operator(**changed), RELEASE, "dev-operator")["values"]
    return found


def policy(**changed: Any) -> dict[str, Any]:
    found: dict[str, Any] = inputs(operator(**changed), POLICY, "dev-operator")["spec"]
    return found


@pytest.mark.parametrize(
    "changed", [{}, {"webhook_password": PASSWORD}, {"watched_namespaces": ["flink", "trial"]}]
)
def test_exactly_these_resources(changed: dict[str, Any]) -> None:
    stack = operator(**changed)
    assert kinds(stack) == Counter(["headrace:aws:FlinkOperator", RELEASE, POLICY, BUDGET])
    assert_house_rules(stack, "dev-operator")


def test_the_release_is_pinned_and_undone_when_it_does_not_come_up() -> None:
    stack = operator()
    made = inputs(stack, RELEASE, "dev-operator")
    assert (made["version"], made["atomic"]) == ("1.15.0", True)
    assert (made["name"], made["namespace"]) == ("flink-kubernetes-operator", "flink-operator")
    assert made["values"]["image"] == {
        "repository": "registry.example/flink-kubernetes-operator",
        "digest": DIGEST,
    }
    # Its pods are never without their policy.
    assert "dev-operator" in stack[f"{RELEASE} dev-operator"]["depends_on"]


def test_values_have_the_names_that_the_operator_documents() -> None:
    told = values(webhook_password=PASSWORD)
    assert told.keys() == DOCUMENTED.keys()
    for key, below in DOCUMENTED.items():
        assert (set(told[key]) if isinstance(told[key], dict) else set()) == below, key


def test_two_elect_a_leader_and_do_not_go_together() -> None:
    stack = operator()
    told = inputs(stack, RELEASE, "dev-operator")["values"]
    assert (told["replicas"], told["strategy"]) == (2, {"type": "RollingUpdate"})
    configuration = yaml.safe_load(told["defaultConfiguration"]["flink-conf.yaml"])
    assert configuration["kubernetes.operator.leader-election.enabled"] is True
    assert configuration["kubernetes.operator.leader-election.lease-name"] == "headrace-flink-operator"
    host, zone = told["operatorPod"]["topologySpreadConstraints"]
    assert (host["topologyKey"], host["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "DoNotSchedule")
    assert (zone["topologyKey"], zone["whenUnsatisfiable"]) == (
        "topology.kubernetes.io/zone",
        "ScheduleAnyway",
    )
    pods = {"matchLabels": {"app.kubernetes.io/name": "flink-kubernetes-operator"}}
    assert host["labelSelector"] == zone["labelSelector"] == pods
    budget = inputs(stack, BUDGET, "dev-operator")["spec"]
    assert budget == {"maxUnavailable": 1, "selector": pods}


def test_it_runs_on_demand_where_jobmanagers_do() -> None:
    pod = values()["operatorPod"]
    assert pod["nodeSelector"] == {"headrace.dev/role": "jobmanagers"}
    (toleration,) = pod["tolerations"]
    assert (toleration["key"], toleration["value"]) == ("headrace.dev/role", "jobmanagers")
    size = {"requests": {"cpu": 0.5, "memory": "1024Mi"}, "limits": {"memory": "1024Mi"}}
    assert pod["resources"] == size
    assert pod["webhook"] == {"resources": size}


def test_pods_are_of_the_restricted_standard() -> None:
    told = values(webhook_password=PASSWORD)
    assert told["podSecurityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 9999,
        "runAsGroup": 9999,
        "fsGroup": 9999,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    secured = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert told["operatorSecurityContext"] == secured | {"readOnlyRootFilesystem": True}
    assert told["webhookSecurityContext"] == secured | {"readOnlyRootFilesystem": False}
    writable = {volume["name"] for volume in told["operatorVolumes"]["data"]}
    assert {mount["name"] for mount in told["operatorVolumeMounts"]["data"]} == writable
    assert all(volume["emptyDir"] == {} for volume in told["operatorVolumes"]["data"])


def test_jobs_have_accounts_of_their_own_and_rights_end_at_the_watched_namespaces() -> None:
    told = values(watched_namespaces=["flink", "trial"])
    assert told["watchNamespaces"] == ["flink", "trial"]
    assert told["jobServiceAccount"] == {"create": False}
    assert told["rbac"] == {"create": True, "jobRole": {"create": False}, "jobRoleBinding": {"create": False}}


def test_there_is_no_webhook_without_a_password_of_its_own() -> None:
    assert values()["webhook"] == {"create": False}
    assert values(webhook_password=PASSWORD)["webhook"] == {
        "create": True,
        "keystore": {
            "useDefaultPassword": False,
            "passwordSecretRef": {"name": "webhook", "key": "password"},
        },
    }


def test_nothing_comes_in_and_the_api_server_names_and_flink_are_all_that_is_reached() -> None:
    spec = policy(watched_namespaces=["flink", "trial"])
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in spec
    names, control_plane, flink = spec["egress"]
    assert names == {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
    assert control_plane == {
        "to": [{"ipBlock": {"cidr": cidr}} for cidr in (*SUBNETS, SERVICES)],
        "ports": [{"protocol": "TCP", "port": 443}],
    }
    assert flink["ports"] == [{"protocol": "TCP", "port": 8081}]
    (pods,) = flink["to"]
    assert pods["podSelector"]["matchLabels"]["component"] == "jobmanager"
    (namespaces,) = pods["namespaceSelector"]["matchExpressions"]
    assert namespaces == {
        "key": "kubernetes.io/metadata.name",
        "operator": "In",
        "values": ["flink", "trial"],
    }


def test_the_webhook_is_reached_from_the_api_server_and_metrics_from_prometheus_alone() -> None:
    webhook, metrics = policy(webhook_password=PASSWORD, scraper_cidrs=[SCRAPER])["ingress"]
    assert webhook == {
        "from": [{"ipBlock": {"cidr": cidr}} for cidr in (*SUBNETS, SERVICES)],
        "ports": [{"protocol": "TCP", "port": 9443}],
    }
    assert metrics == {
        "from": [{"ipBlock": {"cidr": SCRAPER}}],
        "ports": [{"protocol": "TCP", "port": PLAN.operator.metrics_port}],
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"chart": ""}, "operator: given no chart; allowed: a path, https:// or oci://"),
        (
            {"chart": "http://charts.example/operator.tgz"},
            "operator: given a chart by http; allowed: a path, https:// or oci://",
        ),
        (
            {"chart": "https://me:hunter2@charts.example/operator.tgz"},
            "operator: given a chart's address with a login; allowed: one without",
        ),
        (
            {"image": "registry.example/operator:1.15.0"},
            (
                "image: given 'registry.example/operator:1.15.0'; allowed: REPOSITORY@sha256: and 64 "
                "hexadecimal digits, as tags move"
            ),
        ),
        (
            {"watched_namespaces": []},
            "operator: given no namespace to watch; allowed: one or more, not all",
        ),
        (
            {"watched_namespaces": ["Flink_1"]},
            (
                "operator: given namespace 'Flink_1' to watch; allowed: 1 to 63 lowercase letters, digits "
                "and dashes"
            ),
        ),
        (
            {"operator": PLAN.operator.model_copy(update={"configuration": {}})},
            (
                "operator: given 2 replicas without kubernetes.operator.leader-election.enabled; allowed: "
                "with it, as two that lead undo each other's work"
            ),
        ),
        (
            {"control_plane_cidrs": []},
            "operator: given no block of the API server; allowed: one or more",
        ),
        (
            {"control_plane_cidrs": ["0.0.0.0/0"]},
            "operator: given 0.0.0.0/0; allowed: blocks of your own, not everybody",
        ),
        (
            {"scraper_cidrs": ["10.0.0.0/40"]},
            "operator: '40' is not a valid netmask; allowed: IPv4 blocks such as 10.0.0.0/20",
        ),
    ],
)
def test_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(HeadraceError) as refused:
        arguments(**changed)
    assert str(refused.value) == message


@pytest.mark.parametrize(("secret", "key"), [("Hunter_2!", "key"), ("webhook", "")])
def test_a_password_in_place_of_a_secret_is_refused_and_not_repeated(secret: str, key: str) -> None:
    with pytest.raises(HeadraceError) as refused:
        SecretKey(secret=secret, key=key)
    assert str(refused.value) == (
        "secret: what is given names none; allowed: a secret's name, of lowercase letters, digits and "
        "dashes, and one of its keys"
    )
