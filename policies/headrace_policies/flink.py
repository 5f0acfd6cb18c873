"""Flink deployments: how far a job can be scaled, how it is upgraded, and on what capacity it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headrace_policies.checkpoint_paths import FLINK_DEPLOYMENT
from headrace_policies.nodes import Node
from headrace_policies.remedies import changed
from headrace_policies.rule import Declared, Option, Properties, Rule
from headrace_policies.stacks import Case

NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
CAPACITY_TYPES = ("karpenter.sh/capacity-type", "eks.amazonaws.com/capacityType")
SAFETY = (
    "kubernetes.operator.deployment.rollback.enabled",
    "kubernetes.operator.cluster.health-check.enabled",
    "kubernetes.operator.job.savepoint-on-deletion",
)
SPOT_NOTICE_S = 120
"""How long before it takes a node back AWS says so; a new node takes about as long."""

GOOD_DEPLOYMENT: Properties = {
    "metadata": {"name": "orders", "namespace": "orders"},
    "spec": {
        "image": "orders:1",
        "flinkVersion": "v2_2",
        "serviceAccount": "orders",
        "flinkConfiguration": {
            "pipeline.max-parallelism": "720",
            "execution.checkpointing.interval": "2 s",
            "execution.checkpointing.timeout": "30 s",
            "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
            "execution.checkpointing.dir": "s3://orders/checkpoints",
            "high-availability.type": "kubernetes",
            "high-availability.storageDir": "s3://orders/ha",
        }
        | dict.fromkeys(SAFETY, "true"),
        "job": {"jarURI": "local:///opt/flink/job.jar", "parallelism": 4, "upgradeMode": "last-state"},
        "jobManager": {"podTemplate": {"spec": {"nodeSelector": {CAPACITY_TYPES[0]: "on-demand"}}}},
        "taskManager": {"podTemplate": {"spec": {"nodeSelector": {CAPACITY_TYPES[0]: "on-demand"}}}},
    },
}


def deployment(*path: str, value: object = None) -> tuple[Declared, ...]:
    """The good deployment, one value of it changed."""
    return (Declared(FLINK_DEPLOYMENT, changed(GOOD_DEPLOYMENT, path, value) if path else GOOD_DEPLOYMENT),)


def configured(*option: str, value: object) -> tuple[Declared, ...]:
    return deployment("spec", "flinkConfiguration", *option, value=value)


def _max_parallelism(case: Case) -> Iterator[str]:
    configuration = case.at("spec", "flinkConfiguration")
    node = configuration.at("pipeline.max-parallelism")
    if node.number is None:
        yield node.fault("Flink chooses it from the first parallelism, and it can't be changed afterwards")
        return
    for bound in (
        case.at("spec", "job", "parallelism"),
        configuration.at("job.autoscaler.vertex.max-parallelism"),
    ):
        if (bound.number or 0) > node.number:
            yield node.fault(f"it is below `{bound.path}` {bound.text}: the job can't be scaled so far")
    deployed = case.config["deployed"].get(case.at("metadata", "name").text)
    if deployed is not None and deployed != node.number:
        yield node.fault(f"the deployed job has {deployed:g}: its state can't be restored with another")


def _upgrades(case: Case) -> Iterator[str]:
    if (
        not case.at("spec", "job").is_set
        or case.at("metadata", "name").text in case.config["jobsWithoutState"]
    ):
        return
    mode = case.at("spec", "job", "upgradeMode")
    if mode.text in ("", "stateless"):
        yield mode.fault("an upgrade throws the job's state away (the operator's default is stateless)")
    for option in SAFETY:
        node = case.at("spec", "flinkConfiguration", option)
        if not node.is_true:
            yield node.fault("it has to be true")


def _spot(case: Case) -> Iterator[str]:
    spec = case.at("spec")
    for template in (spec, spec.at("jobManager")):
        for node in _capacity(template.at("podTemplate", "spec")):
            if node.text == "spot":
                yield node.fault("a JobManager on spot capacity takes the whole job with it")
        for pool, node in _of_pools(case, template.at("podTemplate", "spec")):
            if node.text == "spot":
                yield node.fault(
                    f"node pool {pool}, which the JobManager chooses, takes the whole job with it"
                )
    objective = case.config["recoveryObjectiveSeconds"]
    for node in _capacity(spec.at("taskManager", "podTemplate", "spec")):
        if node.text == "spot" and objective < SPOT_NOTICE_S:
            yield node.fault(
                f"spot capacity comes back after {SPOT_NOTICE_S} s, the objective is {objective:g} s"
            )


def _capacity(pod: Node) -> list[Node]:
    """Every capacity type that a pod asks for, by selector or by required affinity."""
    selected = [pod.at("nodeSelector", key) for key in CAPACITY_TYPES]
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    terms = pod.at("affinity", "nodeAffinity", required, "nodeSelectorTerms").items
    expressions: Sequence[Node] = [e for term in terms for e in term.at("matchExpressions").items]
    by_affinity = [
        value
        for expression in expressions
        if expression.at("key").text in CAPACITY_TYPES and expression.at("operator").text == "In"
        for value in expression.at("values").items
    ]
    return [node for node in (*selected, *by_affinity) if node.is_unknown or node.is_set]


def _of_pools(case: Case, pod: Node) -> Iterator[tuple[str, Node]]:
    """Names of the node pools that a pod chooses by other labels, each with a type of its capacity."""
    selector = pod.at("nodeSelector")
    chosen = {key: selector.at(key).text for key in selector.keys if key not in CAPACITY_TYPES}
    for pool in case.stack.of(NODE_POOL) if chosen else ():
        template = pool.at("spec", "template")
        labels = template.at("metadata", "labels")
        if all(labels.at(key).text == value for key, value in chosen.items()):
            for requirement in template.at("spec", "requirements").items:
                if requirement.at("key").text in CAPACITY_TYPES:
                    yield from ((pool.name, value) for value in requirement.at("values").items)


RULES = (
    Rule(
        id="HR-FLINK-1",
        title="A Flink job's max parallelism is set, and is at least what it may be scaled to",
        severity="high",
        governs=(FLINK_DEPLOYMENT,),
        decides=("spec", "flinkConfiguration", "pipeline.max-parallelism"),
        absent_is_fault=True,
        why="Keyed state is kept in that many groups for the job's whole life. Whether it differs "
        "from the deployed "
        "value is judged only against what `deployed` says (from a saved state): job's name -> its value.",
        fix="Set pipeline.max-parallelism in `spec.flinkConfiguration` to a number with many "
        "divisors, such as 720.",
        judge=_max_parallelism,
        options={"deployed": Option({"type": "object", "additionalProperties": {"type": "number"}}, {})},
        fails=configured("pipeline.max-parallelism", value="2"),
        passes=deployment(),
    ),
    Rule(
        id="HR-FLINK-2",
        title="A job with state is never upgraded stateless, and can be rolled back",
        severity="critical",
        governs=(FLINK_DEPLOYMENT,),
        decides=("spec", "job", "upgradeMode"),
        absent_is_fault=True,
        why="A stateless upgrade starts with empty state; without rollback, health check and "
        "savepoint on deletion a "
        "bad upgrade or a deletion is the end of it.",
        fix=f"Set `spec.job.upgradeMode` to last-state or savepoint, and {', '.join(SAFETY)} to true.",
        judge=_upgrades,
        options={"jobsWithoutState": Option({"type": "array", "items": {"type": "string"}}, ())},
        fails=deployment("spec", "job", "upgradeMode", value="stateless"),
        passes=deployment(),
    ),
    Rule(
        id="HR-FLINK-3",
        title="JobManagers do not run on spot capacity, TaskManagers only where the recovery objective "
        "allows",
        severity="high",
        governs=(FLINK_DEPLOYMENT,),
        relates=(NODE_POOL,),
        decides=("spec", "jobManager", "podTemplate", "spec", "nodeSelector", CAPACITY_TYPES[0]),
        absent_is_fault=False,
        why="AWS takes spot capacity back with two minutes' notice, from all of a kind at once.",
        fix="Select on-demand capacity for JobManagers, or raise `recoveryObjectiveSeconds` for "
        "TaskManagers.",
        judge=_spot,
        options={"recoveryObjectiveSeconds": Option({"type": "number", "minimum": 1}, 90)},
        fails=deployment(
            "spec", "jobManager", "podTemplate", "spec", "nodeSelector", value={CAPACITY_TYPES[0]: "spot"}
        ),
        passes=deployment(),
    ),
)
