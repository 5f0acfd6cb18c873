"""Kubernetes: what pods may do on their node, whose identity they have, and who may speak to them."""

from __future__ import annotations

from collections.abc import Iterator

from headrace_policies.checkpoint_paths import FLINK_DEPLOYMENT
from headrace_policies.nodes import Node
from headrace_policies.rule import Declared, Option, Rule
from headrace_policies.stacks import Case

NAMESPACE = "kubernetes:core/v1:Namespace"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
POD = "kubernetes:core/v1:Pod"
CRON_JOB = "kubernetes:batch/v1:CronJob"
TEMPLATED = (
    "kubernetes:apps/v1:DaemonSet",
    "kubernetes:apps/v1:Deployment",
    "kubernetes:apps/v1:StatefulSet",
    "kubernetes:batch/v1:Job",
)
WORKLOADS = (POD, CRON_JOB, *TEMPLATED, FLINK_DEPLOYMENT)
CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


def pod_specs(case: Case) -> list[Node]:
    """Of everything that makes pods; a FlinkDeployment has a template for all and one for each manager."""
    kind, spec = case.resource.kind, case.at("spec")
    if kind == POD:
        return [spec]
    if kind == CRON_JOB:
        return [spec.at("jobTemplate", "spec", "template", "spec")]
    if kind == FLINK_DEPLOYMENT:
        owners = (spec, spec.at("jobManager"), spec.at("taskManager"))
        return [owner.at("podTemplate", "spec") for owner in owners]
    return [spec.at("template", "spec")]


def _privileged(case: Case) -> Iterator[str]:
    for spec in pod_specs(case):
        for kind in CONTAINERS:
            for container in spec.at(kind).items:
                node = container.at("securityContext", "privileged")
                if node.is_true:
                    yield node.fault(f"container {container.at('name').text} may do everything on its node")


def _service_account(case: Case) -> Iterator[str]:
    if case.resource.kind == FLINK_DEPLOYMENT:
        accounts = [case.at("spec", "serviceAccount")]
    else:
        accounts = [spec.at("serviceAccountName") for spec in pod_specs(case)]
    for node in accounts:
        if node.text in ("", "default"):
            yield node.fault("pods share the namespace's default service account and whatever it is given")


def _network_policies(case: Case) -> Iterator[str]:
    name = case.at("metadata", "name")
    if name.text in case.config["exempt"]:
        return
    if not case.referring(NETWORK_POLICY, "metadata", "namespace"):
        yield name.fault(
            "no NetworkPolicy of the stack is in this namespace: every pod may speak to every other"
        )


def _deployment(**pod: object) -> tuple[Declared, ...]:
    spec = {"serviceAccountName": "orders", "containers": [_container(privileged=False)]} | pod
    properties = {"metadata": {"name": "orders", "namespace": "orders"}, "spec": {"template": {"spec": spec}}}
    return (Declared("kubernetes:apps/v1:Deployment", properties),)


def _container(*, privileged: bool) -> dict[str, object]:
    return {"name": "orders", "image": "orders:1", "securityContext": {"privileged": privileged}}


RULES = (
    Rule(
        id="CIS-4.2.1",
        title="No pod is privileged",
        severity="high",
        governs=WORKLOADS,
        decides=("spec", "template", "spec", "containers", "0", "securityContext", "privileged"),
        absent_is_fault=False,
        why="A privileged container is root on its node, and so on every pod of that node.",
        fix="Drop `securityContext.privileged`, and add the single capability that is needed.",
        judge=_privileged,
        fails=_deployment(containers=[_container(privileged=True)]),
        passes=_deployment(),
    ),
    Rule(
        id="CIS-5.2.1",
        title="Pods have service accounts of their own",
        severity="medium",
        governs=WORKLOADS,
        decides=("spec", "template", "spec", "serviceAccountName"),
        absent_is_fault=True,
        why="What one workload may do in the cluster and in AWS should be no other's.",
        fix="Declare a ServiceAccount and name it in `serviceAccountName` (a FlinkDeployment: "
        "`spec.serviceAccount`).",
        judge=_service_account,
        fails=_deployment(serviceAccountName="default"),
        passes=_deployment(),
    ),
    Rule(
        id="CIS-5.4.4",
        title="A namespace has network policies",
        severity="medium",
        governs=(NAMESPACE,),
        relates=(NETWORK_POLICY,),
        decides=("metadata", "namespace"),
        decides_in=1,
        absent_is_fault=True,
        why="Without a policy every pod of the cluster may speak to every pod of the namespace.",
        fix="Declare a NetworkPolicy in the namespace that denies by default, and those that allow "
        "what is needed.",
        judge=_network_policies,
        options={
            "exempt": Option({"type": "array", "items": {"type": "string"}}, ("kube-system", "kube-public")),
        },
        fails=(Declared(NAMESPACE, {"metadata": {"name": "orders"}}),),
        passes=(
            Declared(NAMESPACE, {"metadata": {"name": "orders"}}),
            Declared(
                NETWORK_POLICY,
                {"metadata": {"name": "deny", "namespace": "orders"}, "spec": {"podSelector": {}}},
                "deny",
            ),
        ),
    ),
)
