"""The stand-in for Kubernetes, through the provider's own protocol, over a real API server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.standins.kubernetes.api import Api, of
from tests.standins.kubernetes.definitions import of_operator
from tests.standins.kubernetes.release import unknown_values
from tests.standins.place import Place
from tests.standins.plugins import Plugin, plugin
from tests.standins.values import Values

KUBECONFIG = """
clusters: [{name: dev, cluster: {server: "https://eks.example", certificate-authority-data: Q0E=}}]
users: [{name: dev, user: {exec: {command: aws}}}]
"""
UNCHANGED = 1
NAMESPACE = "kubernetes:core/v1:Namespace"
QUOTA = "kubernetes:core/v1:ResourceQuota"
FLINK = "kubernetes:flink.apache.org/v1beta1:FlinkDeployment"
POOL = "kubernetes:karpenter.sh/v1:NodePool"
RELEASE = "kubernetes:helm.sh/v3:Release"


def urn(kind: str, name: str = "it") -> str:
    return f"urn:pulumi:dev::headrace::{kind}::{name}"


@pytest.fixture
def cluster(cluster_place: Place) -> Iterator[Plugin]:
    with plugin("kubernetes", cluster_place) as provider:
        provider.configure(kubeconfig=KUBECONFIG)
        yield provider


def made(cluster: Plugin, kind: str, manifest: Values) -> tuple[str, Values, Values]:
    inputs, failures = cluster.check(urn(kind), manifest)
    assert failures == {}
    identity, state = cluster.create(urn(kind), inputs)
    return identity, inputs, state


@pytest.fixture
def flink(cluster: Plugin, api: Api) -> str:
    """A namespace."""
    made(cluster, NAMESPACE, of("Namespace", "flink"))
    return "flink"


def test_an_object_that_is_there_is_read_and_never_taken_over(cluster: Plugin, api: Api) -> None:
    theirs = of("ConfigMap", "theirs", namespace="kube-system")
    api.apply(theirs | {"data": {"a": "1"}})
    kind = "kubernetes:core/v1:ConfigMap"
    seen = cluster.read(urn(kind), "kube-system/theirs", {}, {})
    assert seen is not None
    assert seen[1]["data"] == {"a": "1"}
    assert cluster.read(urn(kind), "kube-system/none", {}, {}) is None
    with pytest.raises(Exception, match="already exists"):
        made(cluster, kind, theirs | {"data": {"a": "2"}})
    found = api.get(theirs)
    assert found is not None
    assert found["data"] == {"a": "1"}


def deployment(name: str = "support", **spec: object) -> Values:
    return of("FlinkDeployment", name, "flink.apache.org/v1beta1", "flink") | {
        "spec": {
            "image": "registry.example/agents@sha256:0",
            "flinkVersion": "v2_2",
            "serviceAccount": "support",
            "jobManager": {"resource": {"memory": "1024m", "cpu": 1}},
            "taskManager": {"resource": {"memory": "1024m", "cpu": 1}},
            **spec,
        }
    }


def release(**values: object) -> Values:
    return {
        "name": "flink-kubernetes-operator",
        "chart": "flink-kubernetes-operator",
        "version": "1.15.0",
        "namespace": "flink",
        "values": values,
    }


def quota(memory: str) -> Values:
    return of("ResourceQuota", "bounds", namespace="flink") | {"spec": {"hard": {"limits.memory": memory}}}


def test_an_object_is_made_seen_changed_and_removed(cluster: Plugin, flink: str) -> None:
    manifest = quota("1024Mi")
    identity, inputs, state = made(cluster, QUOTA, manifest)
    assert identity == "flink/bounds"
    assert state["spec"]["hard"] == {"limits.memory": "1Gi"}, "as the server writes it"
    assert cluster.read(urn(QUOTA), identity, inputs, state) == (inputs, state)

    changed = inputs | {"spec": {"hard": {"limits.memory": "2048Mi"}}}
    diff = cluster.diff(urn(QUOTA), identity, state, inputs, changed)
    assert list(diff.diffs) == ["spec"]
    assert list(diff.replaces) == []
    state = cluster.update(urn(QUOTA), identity, state, inputs, changed)
    assert state["spec"]["hard"] == {"limits.memory": "2Gi"}

    cluster.delete(urn(QUOTA), identity, changed, state)
    assert cluster.read(urn(QUOTA), identity, changed, state) is None


def test_a_drift_behind_the_back_is_read(cluster: Plugin, flink: str, api: Api) -> None:
    manifest = quota("1024Mi")
    identity, inputs, state = made(cluster, QUOTA, manifest)
    api.merge(manifest, {"spec": {"hard": {"limits.memory": "3Gi"}}})

    seen = cluster.read(urn(QUOTA), identity, inputs, state)
    assert seen is not None
    assert seen[0]["spec"] == {"hard": {"limits.memory": "3Gi"}}
    assert cluster.diff(urn(QUOTA), identity, seen[1], seen[0], inputs).changes != UNCHANGED


def test_a_field_that_somebody_else_took_is_not_taken_back_unasked(
    cluster: Plugin, flink: str, api: Api
) -> None:
    identity, inputs, state = made(cluster, QUOTA, quota("1Gi"))
    api.merge(quota(""), {"spec": {"hard": {"limits.memory": "3Gi"}}})
    with pytest.raises(Exception, match='conflict with "somebody-else"'):
        cluster.update(urn(QUOTA), identity, state, inputs, quota("2Gi"))


def test_another_name_is_another_object_that_comes_after_the_old_one_went(
    cluster: Plugin, flink: str
) -> None:
    manifest = quota("1Gi")
    identity, inputs, state = made(cluster, QUOTA, manifest)
    diff = cluster.diff(urn(QUOTA), identity, state, inputs, manifest | of("ResourceQuota", "b"))
    assert "metadata.name" in diff.replaces
    assert diff.deleteBeforeReplace


def test_the_server_takes_a_deployment_and_refuses_a_broken_field(
    cluster: Plugin, flink: str, api: Api
) -> None:
    for definition in of_operator():
        api.define(definition)
    made(cluster, FLINK, deployment())

    with pytest.raises(Exception, match=r"\.spec\.flinkVersionn: field not declared in schema"):
        made(cluster, FLINK, deployment("misspelt", flinkVersionn="v2_2"))
    with pytest.raises(Exception, match=r"spec\.flinkVersion: Unsupported value"):
        made(cluster, FLINK, deployment("unknown", flinkVersion="v9_9"))
    with pytest.raises(Exception, match=r"replicas: expected numeric"):
        made(cluster, FLINK, deployment("mistyped", jobManager={"replicas": "two"}))


def test_a_broken_field_of_a_pool_of_nodes_is_refused(cluster: Plugin, api: Api) -> None:
    reference = {"group": "eks.amazonaws.com", "kind": "NodeClass", "name": "headrace"}
    spec = {"nodeClassRef": reference, "requirements": []}
    manifest = of("NodePool", "jobmanagers", "karpenter.sh/v1") | {"spec": {"template": {"spec": spec}}}
    made(cluster, POOL, manifest)
    broken = of("NodePool", "broken", "karpenter.sh/v1")
    with pytest.raises(Exception, match="consolidationPolicy"):
        made(cluster, POOL, broken | {"spec": {"disruption": {"consolidationPolicy": "Never"}}})


def test_a_deployment_without_the_operators_definitions_is_refused(cluster: Plugin, flink: str) -> None:
    with pytest.raises(Exception, match='no matches for kind "FlinkDeployment"'):
        made(cluster, FLINK, deployment())


def test_a_release_brings_definitions_that_stay_when_it_goes(
    cluster: Plugin, flink: str, cluster_place: Place
) -> None:
    identity, inputs, state = made(cluster, RELEASE, release(replicas=1, watchNamespaces=["flink"]))
    assert state["status"]["status"] == "deployed"
    assert cluster.read(urn(RELEASE), identity, inputs, state) == (inputs, state)
    made(cluster, FLINK, deployment())

    cluster.delete(urn(RELEASE), identity, inputs, state)
    assert cluster.read(urn(RELEASE), identity, inputs, state) is None
    made(cluster, FLINK, deployment("another", mode="native"))


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"replica": 2}, "the chart has no values replica"),
        ({"rbac": {"jobRoles": {"create": False}}}, r"rbac\.jobRoles"),
        ({"image": {"digests": "sha256:0"}}, r"image\.digests"),
        ({"replicas": 2}, "leader-election"),
    ],
)
def test_a_value_that_the_chart_does_not_know_is_refused(
    cluster: Plugin, flink: str, values: Values, refusal: str
) -> None:
    with pytest.raises(Exception, match=refusal):
        made(cluster, RELEASE, release(**values))


def test_below_what_the_chart_hands_on_anything_goes() -> None:
    assert unknown_values({"operatorPod": {"resources": {"limits": {"memory": "1Gi"}}}}) == []
    assert unknown_values({"operatorPod": {"resource": {}}}) == ["operatorPod.resource"]


@pytest.mark.parametrize(
    ("kubeconfig", "refusal"),
    [
        (KUBECONFIG.replace("exec: {command: aws}", "token: secret"), "holds a credential: token"),
        (KUBECONFIG.replace("https://", "http://"), "by https"),
        ("", "no kubeconfig"),
    ],
)
def test_a_kubeconfig_with_a_credential_or_without_tls_is_refused(
    cluster: Plugin, kubeconfig: str, refusal: str
) -> None:
    with pytest.raises(Exception, match=refusal):
        cluster.configure(kubeconfig=kubeconfig)


def test_nothing_of_a_namespace_is_left(cluster: Plugin, flink: str, left: Callable[[], list[str]]) -> None:
    assert left() == ["Namespace flink"]
    manifest = of("Namespace", flink)
    cluster.delete(urn(NAMESPACE), flink, manifest, manifest)
    assert left() == []
