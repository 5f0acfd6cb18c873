"""A namespace: restricted, bounded, closed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from headrace.aws import Namespace, NamespaceArgs
from headrace.errors import HeadraceError
from tests.components.aws.cloud import TAGS, assert_house_rules, built, inputs, kinds
from tests.components.recording import Registered

DECLARED: dict[str, Any] = {
    "namespace": "flink",
    "vcpu": 16,
    "memory_mib": 65_536,
    "labels": TAGS.shared,
}
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


def namespace(**changed: Any) -> Registered:
    return built(lambda: Namespace("dev-flink", NamespaceArgs(**DECLARED | changed)))


def test_exactly_these_resources() -> None:
    stack = namespace()
    assert kinds(stack) == Counter(
        {
            "headrace:aws:Namespace": 1,
            "kubernetes:core/v1:Namespace": 1,
            "kubernetes:core/v1:ResourceQuota": 1,
            POLICY: 2,
        }
    )
    assert_house_rules(stack, "dev-flink")


def test_pods_are_of_the_restricted_standard() -> None:
    labels = inputs(namespace(), "kubernetes:core/v1:Namespace", "dev-flink")["metadata"]["labels"]
    modes = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    assert labels == TAGS.shared | modes


def test_pods_together_stay_within_the_bounds() -> None:
    spec = inputs(namespace(vcpu=4, memory_mib=1024), "kubernetes:core/v1:ResourceQuota", "dev-flink")["spec"]
    assert spec["hard"] == {
        "requests.cpu": "4",
        "requests.memory": "1024Mi",
        "limits.memory": "1024Mi",
    }


def test_nothing_comes_in_and_only_questions_for_names_go_out() -> None:
    stack = namespace()
    closed, names = (inputs(stack, POLICY, f"dev-flink-{name}")["spec"] for name in ("closed", "names"))
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert names["podSelector"] == {}
    assert names["policyTypes"] == ["Egress"]
    (way_out,) = names["egress"]
    assert way_out == {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
    for policy in ("closed", "names"):
        metadata = inputs(stack, POLICY, f"dev-flink-{policy}")["metadata"]
        assert metadata == {"name": policy, "namespace": "flink"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"namespace": "Flink_1"},
            "namespace: given 'Flink_1'; allowed: 1 to 63 lowercase letters, digits and dashes",
        ),
        ({"vcpu": 0}, "namespace flink: given 0 vCPU and 65536 MiB; allowed: more than 0 of both"),
    ],
)
def test_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(HeadraceError) as refused:
        NamespaceArgs(**DECLARED | changed)
    assert str(refused.value) == message
