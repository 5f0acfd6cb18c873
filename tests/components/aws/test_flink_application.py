"""An agent's deployment: as the plan says, pinned, restricted, with what is its own and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest

from headrace.aws import AgentKafka, FlinkApplication, FlinkApplicationArgs, SecretKey, StateBuckets
from headrace.aws.flink_image import FLINK_VERSION
from headrace.errors import HeadraceError
from headrace.plan.aws.model import DeploymentPlan
from headrace_agents.spec import AgentJobSpec
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
from tests.components.aws.flink_crd import validate
from tests.components.aws.planned import planned
from tests.components.recording import Registered
from tests.unit.environment.declarations import REPOSITORY

PLAN = planned()
DEPLOYMENT, AGENT = PLAN.deployments[0], PLAN.agents[0]
SPEC, NAME = AGENT.spec, AGENT.name
ROOT = f"dev-{NAME}"
DIGEST = "sha256:" + "c" * 64
IMAGE = f"registry.example/agents@{DIGEST}"
FLINK = "kubernetes:flink.apache.org/v1beta1:FlinkDeployment"
UPGRADE = "headrace-aws:index:AgentUpgrade"
POLICY, BUDGET = "kubernetes:networking.k8s.io/v1:NetworkPolicy", "kubernetes:policy/v1:PodDisruptionBudget"
RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
ACCOUNT_KIND = "kubernetes:core/v1:ServiceAccount"
ASSOCIATION, ROLE = "aws:eks/podIdentityAssociation:PodIdentityAssociation", "aws:iam/role:Role"
EKS_CLUSTER = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/dev-cluster"
CLUSTER = f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/dev-kafka/uuid-1"
STATE_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
STATE = ("checkpoints", "savepoints", "high-availability")
BUCKETS = StateBuckets(
    names={bucket: f"dev-{bucket}" for bucket in STATE},
    arns={bucket: f"arn:aws:s3:::dev-{bucket}" for bucket in STATE},
    key_arn=STATE_KEY,
)
BROKERS, SCRAPER = ["10.0.0.0/20", "10.0.16.0/20"], "10.0.32.0/20"
KAFKA = AgentKafka(cluster_arn=CLUSTER, bootstrap_servers="b-1.example:9098", cidrs=BROKERS)
MODEL_KEY = SecretKey(secret="models", key="triage")
MODEL = f"arn:aws:bedrock:{REGION}::foundation-model/some.model-v1:0"


def arguments(**changed: Any) -> FlinkApplicationArgs:
    args: dict[str, Any] = {
        "deployment": DEPLOYMENT,
        "agent": AGENT,
        "image": IMAGE,
        "cluster_name": "dev-cluster",
        "cluster_arn": EKS_CLUSTER,
        "kubeconfig": "{}",
        "namespace": "flink",
        "operator_namespace": "flink-operator",
        "kafka": KAFKA,
        "state": BUCKETS,
        "tags": TAGS,
        "model_key": MODEL_KEY,
    }
    return FlinkApplicationArgs(**args | changed)


def application(**changed: Any) -> Registered:
    return built(lambda: FlinkApplication(ROOT, arguments(**changed)))


def spec(**changed: Any) -> dict[str, Any]:
    found: dict[str, Any] = inputs(application(**changed), FLINK, ROOT)["spec"]
    return found


def pod(told: Mapping[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = told[kind]["podTemplate"]["spec"]
    return found


def job(told: Mapping[str, Any]) -> AgentJobSpec:
    annotations = told["jobManager"]["podTemplate"]["metadata"]["annotations"]
    return AgentJobSpec.model_validate_json(annotations["headrace.dev/job"])


def with_options(**changed: str | None) -> DeploymentPlan:
    """The deployment with Flink's options changed, or left out where they are None; `__` stands for a dot."""
    options = {key.replace("__", "."): value for key, value in changed.items()}
    kept = {key: value for key, value in DEPLOYMENT.flink.configuration.items() if key not in options}
    given = {key: value for key, value in options.items() if value is not None}
    flink = DEPLOYMENT.flink.model_copy(update={"configuration": kept | given})
    return DEPLOYMENT.model_copy(update={"flink": flink})


def without_key() -> dict[str, Any]:
    return {"agent": AGENT.model_copy(update={"key_variables": {}}), "model_key": None}


@pytest.mark.parametrize(
    "changed", [{}, {"bedrock_models": [MODEL]}, {"scraper_cidrs": [SCRAPER]}, without_key()]
)
def test_exactly_these_resources(changed: dict[str, Any]) -> None:
    stack = application(**changed)
    assert kinds(stack) == Counter(
        {
            "headrace:aws:FlinkApplication": 1,
            "headrace:aws:PodIdentity": 1,
            "headrace:aws:AgentTraffic": 1,
            FLINK: 1,
            UPGRADE: 1,
            ACCOUNT_KIND: 1,
            f"{RBAC}:Role": 1,
            f"{RBAC}:RoleBinding": 1,
            POLICY: 3,
            BUDGET: 2,
            ROLE: 1,
            "aws:iam/rolePolicy:RolePolicy": 1,
            ASSOCIATION: 1,
        }
    )
    assert_house_rules(stack, ROOT)


@pytest.mark.parametrize("changed", [{}, {"scraper_cidrs": [SCRAPER]}, without_key()])
def test_the_operators_definition_takes_it(changed: dict[str, Any]) -> None:
    validate(spec(**changed))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("flinkVersion",), "v2_3"),
        (("job", "upgradeMode"), "none"),
        (("job", "paralelism"), 2),
        (("jobManager", "replicas"), "two"),
        (("taskManager", "resource", "cpu"), "2"),
        (("taskManager", "podTemplate", "spec", "terminationGracePeriod"), 30),
    ],
)
def test_the_operators_definition_refuses_a_broken_field(path: tuple[str, ...], value: object) -> None:
    told = spec()
    *folders, last = path
    inner = told
    for name in folders:
        inner = inner[name]
    inner[last] = value
    with pytest.raises(jsonschema.ValidationError):
        validate(told)


def test_image_and_versions_are_pinned() -> None:
    told = spec()
    assert told["image"] == IMAGE
    assert (told["flinkVersion"], told["mode"]) == ("v2_2", "native")
    assert job(told).code == DIGEST


def test_flink_is_the_one_that_is_built_and_run_here() -> None:
    pom = (REPOSITORY / "components" / "headrace" / "toolchain" / "poms" / "pom.xml").read_text()
    assert f"<flink.version>{FLINK_VERSION}</flink.version>" in pom
    assert f'"apache-flink=={FLINK_VERSION}"' in (REPOSITORY / "agent_jobs" / "pyproject.toml").read_text()
    assert spec()["job"]["jarURI"].endswith(f"/flink-python-{FLINK_VERSION}.jar")


def test_python_and_the_user_are_where_the_image_has_them() -> None:
    dockerfile = (REPOSITORY / "agent_jobs" / "Dockerfile").read_text()
    told = spec()
    assert f'ln -sf "$(command -v python3)" {told["flinkConfiguration"]["python.executable"]} ' in dockerfile
    assert f"--uid {pod(told, 'jobManager')['securityContext']['runAsUser']} " in dockerfile


def test_sizes_are_the_plans() -> None:
    told, pods, flink = spec(), DEPLOYMENT.pods, DEPLOYMENT.flink
    jobmanager, taskmanager = told["jobManager"], told["taskManager"]
    assert jobmanager["replicas"] == pods.jobmanager_replicas
    assert jobmanager["resource"]["memory"] == f"{flink.jobmanager.process_mib}m"
    assert jobmanager["resource"]["cpu"] == pods.jobmanager_cpu
    assert taskmanager["resource"]["memory"] == f"{flink.taskmanager.process_mib}m"
    assert taskmanager["resource"]["cpu"] == pods.taskmanager_cpu
    volumes = {each["name"]: each for each in pod(told, "taskManager")["volumes"]}
    assert volumes["scratch"]["emptyDir"] == {"sizeLimit": f"{pods.disk_gib}Gi"}
    # Every byte that a pod may write is asked for: its disk, its logs and `/tmp`.
    assert taskmanager["resource"]["ephemeralStorage"] == f"{pods.disk_gib + 2}Gi"
    assert told["flinkConfiguration"]["io.tmp.dirs"] == "/data"
    assert told["job"]["parallelism"] == SPEC.parallelism


def test_an_upgrade_keeps_what_the_agent_knows() -> None:
    told = spec()
    assert told["job"]["upgradeMode"] == "savepoint"
    assert told["job"]["allowNonRestoredState"] is False
    options = told["flinkConfiguration"]
    for option in (
        "kubernetes.operator.job.savepoint-on-deletion",
        "kubernetes.operator.deployment.rollback.enabled",
        "kubernetes.operator.cluster.health-check.enabled",
        "job.autoscaler.enabled",
    ):
        assert options[option] == "true", option
    assert options["high-availability.type"] == "kubernetes"
    assert options["high-availability.storageDir"] == f"s3://dev-high-availability/{NAME}"
    assert options["execution.checkpointing.dir"] == f"s3://dev-checkpoints/{NAME}"
    assert options["execution.checkpointing.savepoint-dir"] == f"s3://dev-savepoints/{NAME}"


def test_the_job_is_told_what_the_plan_says_where_it_runs() -> None:
    told = spec()
    given = job(told)
    model = SPEC.model
    assert model is not None
    assert given == SPEC.model_copy(
        update={
            "code": DIGEST,
            "kafka": SPEC.kafka.model_copy(update={"bootstrap_servers": "b-1.example:9098"}),
            "model": model.model_copy(update={"api_key_file": "/etc/headrace/secrets/model-key"}),
            "flink_configuration": SPEC.flink_configuration
            | {
                "execution.checkpointing.dir": f"s3://dev-checkpoints/{NAME}",
                "execution.checkpointing.savepoint-dir": f"s3://dev-savepoints/{NAME}",
                "high-availability.storageDir": f"s3://dev-high-availability/{NAME}",
            },
        }
    )
    assert told["job"]["args"] == [
        "-pym",
        "headrace_agents.flink.job",
        "--spec",
        "/etc/headrace/job/job.json",
    ]
    (volume,) = (each for each in pod(told, "jobManager")["volumes"] if each["name"] == "job")
    assert volume["downwardAPI"]["items"] == [
        {"path": "job.json", "fieldRef": {"fieldPath": "metadata.annotations['headrace.dev/job']"}}
    ]


@pytest.mark.parametrize("kind", ["jobManager", "taskManager"])
def test_pods_are_of_the_restricted_standard_and_write_to_their_own_volumes_alone(kind: str) -> None:
    made = pod(spec(), kind)
    assert made["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 9999,
        "runAsGroup": 9999,
        "fsGroup": 9999,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    (container,) = made["containers"]
    assert container["name"] == "flink-main-container"
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = {each["mountPath"] for each in container["volumeMounts"] if not each.get("readOnly")}
    assert writable == {"/data", "/opt/flink/log", "/tmp"}
    bounded = {each["name"] for each in made["volumes"] if "sizeLimit" in each.get("emptyDir", {})}
    assert bounded == {"scratch", "logs", "tmp"}
    assert made["enableServiceLinks"] is False


def test_pods_run_on_the_nodes_of_their_role_and_are_spread() -> None:
    told = spec()
    for kind, role in {"jobManager": "jobmanagers", "taskManager": "taskmanagers"}.items():
        made = pod(told, kind)
        assert made["nodeSelector"] == {"headrace.dev/role": role}
        (toleration,) = made["tolerations"]
        assert (toleration["value"], toleration["effect"]) == (role, "NoSchedule")
        for spread in made["topologySpreadConstraints"]:
            assert spread["labelSelector"]["matchLabels"] == {"app": NAME, "component": role[:-1]}
    zone, host = "topology.kubernetes.io/zone", "kubernetes.io/hostname"

    def spreads(kind: str) -> dict[str, str]:
        found = pod(told, kind)["topologySpreadConstraints"]
        return {each["topologyKey"]: each["whenUnsatisfiable"] for each in found}

    assert spreads("jobManager") == {zone: "DoNotSchedule", host: "DoNotSchedule"}
    assert spreads("taskManager") == dict.fromkeys(
        (zone, "karpenter.sh/capacity-type", host), "ScheduleAnyway"
    )


def test_a_taskmanager_that_is_told_to_end_finishes_a_checkpoint_within_a_spot_notice() -> None:
    made = pod(spec(), "taskManager")
    (container,) = made["containers"]
    every_s = DEPLOYMENT.flink.checkpoints.interval_ms / 1000
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pause == DEPLOYMENT.pods.pre_stop_s >= every_s
    assert pause < made["terminationGracePeriodSeconds"] == DEPLOYMENT.pods.termination_grace_s <= 120


def test_one_pod_of_a_kind_goes_at_a_time() -> None:
    stack = application()
    for kind in ("jobmanager", "taskmanager"):
        budget = inputs(stack, BUDGET, f"{ROOT}-{kind}s")["spec"]
        assert budget == {
            "maxUnavailable": 1,
            "selector": {"matchLabels": {"app": NAME, "component": kind}},
        }


def test_the_models_key_is_a_reference_that_taskmanagers_alone_have() -> None:
    told = spec()
    (volume,) = (each for each in pod(told, "taskManager")["volumes"] if "secret" in each)
    assert volume["secret"] == {
        "secretName": "models",
        "items": [{"key": "triage", "path": "model-key"}],
        "defaultMode": 0o440,
    }
    (container,) = pod(told, "taskManager")["containers"]
    (mount,) = (each for each in container["volumeMounts"] if each["name"] == volume["name"])
    assert (mount["mountPath"], mount["readOnly"]) == ("/etc/headrace/secrets", True)
    assert not any("secret" in each for each in pod(told, "jobManager")["volumes"])
    without = spec(**without_key())
    assert not any("secret" in each for each in pod(without, "taskManager")["volumes"])
    model = job(without).model
    assert model is not None
    assert model.api_key_file is None


def test_each_line_of_the_log_is_json() -> None:
    (text,) = spec()["logConfiguration"].values()
    assert "appender.console.layout.type = JsonTemplateLayout\n" in text


def test_the_role_is_the_pods_of_this_agent_alone() -> None:
    stack = application()
    name = f"{ROOT}-identity"
    (who,) = statements(inputs(stack, ROLE, name)["assumeRolePolicy"])
    assert who["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert who["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert who["Condition"] == {
        "StringEquals": {
            "aws:SourceAccount": ACCOUNT,
            "aws:RequestTag/eks-cluster-arn": EKS_CLUSTER,
            "aws:RequestTag/kubernetes-namespace": "flink",
            "aws:RequestTag/kubernetes-service-account": NAME,
        }
    }
    association = inputs(stack, ASSOCIATION, name)
    assert association["clusterName"] == "dev-cluster"
    assert (association["namespace"], association["serviceAccount"]) == ("flink", NAME)
    assert association["roleArn"] == arn(ROLE, name)
    assert inputs(stack, FLINK, ROOT)["spec"]["serviceAccount"] == NAME


def rights(**changed: Any) -> list[dict[str, Any]]:
    policy = inputs(application(**changed), "aws:iam/rolePolicy:RolePolicy", f"{ROOT}-identity")["policy"]
    return statements(policy)


def test_the_role_may_what_is_the_agents_and_no_more() -> None:
    objects, *listed, key, connection, read, both, groups, transactions = rights()
    assert objects["Resource"] == [
        f"arn:aws:s3:::dev-checkpoints/{NAME}/*",
        f"arn:aws:s3:::dev-savepoints/{NAME}/*",
        f"arn:aws:s3:::dev-savepoints/_erasures/{NAME}/*",
        f"arn:aws:s3:::dev-high-availability/{NAME}/*",
    ]
    assert {each["Resource"][0] for each in listed} == {f"arn:aws:s3:::dev-{bucket}" for bucket in STATE}
    for each in listed:
        assert each["Action"] == ["s3:ListBucket"]
        for prefix in each["Condition"]["StringLike"]["s3:prefix"]:
            assert NAME in prefix.split("/"), prefix
    assert key["Resource"] == [STATE_KEY]
    assert key["Condition"] == {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}}
    assert connection["Resource"] == [CLUSTER]

    def topics(*names: str) -> list[str]:
        return [f"{CLUSTER.replace(':cluster/', ':topic/')}/{name}" for name in names]

    said = SPEC.feedback.answers, SPEC.feedback.replays
    assert read["Resource"] == topics(*(each.topic for each in SPEC.inputs), *said)
    assert "kafka-cluster:WriteData" not in read["Action"]
    assert both["Resource"] == topics(
        *SPEC.outputs.all,
        SPEC.journal.topic,
        SPEC.spending.budgets,
        SPEC.spending.costs,
        SPEC.feedback.control,
    )
    assert groups["Resource"] == [
        f"{CLUSTER.replace(':cluster/', ':group/')}/{name}"
        for name in (NAME, "headrace-journal", "headrace-ledger", "headrace-reader")
    ]
    assert transactions["Resource"] == [f"{CLUSTER.replace(':cluster/', ':transactional-id/')}/{NAME}.*"]
    for right in rights():
        assert "*" not in right["Resource"]
        assert not any(action.endswith("*") for action in right["Action"])


def test_models_of_bedrock_are_invoked_only_where_the_agent_uses_them() -> None:
    *_others, models = rights(bedrock_models=[MODEL])
    assert models == {"Effect": "Allow", "Action": ["bedrock:InvokeModel"], "Resource": [MODEL]}
    assert not any("bedrock" in json.dumps(right) for right in rights())


def test_within_the_cluster_it_may_run_its_own_pods() -> None:
    stack = application()
    pods, owner = inputs(stack, f"{RBAC}:Role", ROOT)["rules"]
    assert (pods["apiGroups"], pods["resources"]) == ([""], ["pods", "configmaps"])
    assert owner["resourceNames"] == [NAME]
    assert set(owner["verbs"]) == {"get", "delete"}
    binding = inputs(stack, f"{RBAC}:RoleBinding", ROOT)
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": NAME, "namespace": "flink"}]
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME}


def policies(**changed: Any) -> dict[str, dict[str, Any]]:
    stack = application(**changed)
    return {
        what: inputs(stack, POLICY, f"{ROOT}-traffic-{what}")["spec"]
        for what in ("jobmanagers", "taskmanagers", "out")
    }


def ports(rule: Mapping[str, Any]) -> set[int]:
    return {each["port"] for each in rule["ports"]}


def test_jobmanagers_hear_their_own_pods_and_the_operator() -> None:
    spec = policies()["jobmanagers"]
    assert spec["policyTypes"] == ["Ingress"]
    own, operator = spec["ingress"]
    assert own["from"] == [{"podSelector": {"matchLabels": {"app": NAME}}}]
    assert ports(own) == {6123, 6124, 8081}
    (peer,) = operator["from"]
    assert peer["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "flink-kubernetes-operator"}
    assert peer["namespaceSelector"]["matchExpressions"][0]["values"] == ["flink-operator"]
    assert ports(operator) == {8081}


def test_taskmanagers_hear_their_own_pods() -> None:
    (own,) = policies()["taskmanagers"]["ingress"]
    assert own["from"] == [{"podSelector": {"matchLabels": {"app": NAME}}}]
    assert ports(own) == {6122, 6121}


def test_prometheus_reads_metrics_from_its_blocks_alone() -> None:
    made = policies(scraper_cidrs=[SCRAPER])
    for kind in ("jobmanagers", "taskmanagers"):
        *_others, metrics = made[kind]["ingress"]
        assert metrics["from"] == [{"ipBlock": {"cidr": SCRAPER}}]
        assert ports(metrics) == {int(spec()["flinkConfiguration"]["metrics.reporter.prom.port"])}


def test_pods_reach_names_each_other_kafka_their_credentials_and_tls_alone() -> None:
    out = policies()["out"]
    assert (out["policyTypes"], out["podSelector"]) == (["Egress"], {"matchLabels": {"app": NAME}})
    names, own, kafka, credentials, tls = out["egress"]
    assert (ports(names), names.get("to")) == ({53}, None)
    assert own["to"] == [{"podSelector": {"matchLabels": {"app": NAME}}}]
    assert kafka["to"] == [{"ipBlock": {"cidr": cidr}} for cidr in BROKERS]
    assert ports(kafka) == {9098}
    assert credentials["to"] == [{"ipBlock": {"cidr": "169.254.170.23/32"}}]
    assert ports(credentials) == {80}
    assert (ports(tls), tls.get("to")) == ({443}, None)


def test_pods_reach_the_collector_where_traces_go_to_it() -> None:
    *_others, collector = policies(collector_namespace="observability")["out"]["egress"]
    (peer,) = collector["to"]
    assert peer["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "collector"}
    assert peer["namespaceSelector"]["matchExpressions"][0]["values"] == ["observability"]
    assert ports(collector) == {4317}


def test_a_job_starts_with_its_rights_and_its_policies() -> None:
    made = application()[f"{FLINK} {ROOT}"]
    assert set(made["depends_on"]) >= {
        f"{ROOT}-identity",
        f"{ROOT}-traffic-out",
        f"{ROOT}-jobmanagers",
        f"{ROOT}-taskmanagers",
        ROOT,
    }
    assert made["deleted_first"] is True
    assert made["inputs"]["metadata"]["annotations"] == {
        "pulumi.com/waitFor": "jsonpath={.status.lifecycleState}=STABLE",
        "pulumi.com/patchForce": "true",
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"deployment": DEPLOYMENT.model_copy(update={"name": "other"})},
            f"agent {NAME}: given the deployment of other; allowed: its own",
        ),
        (
            {
                "deployment": DEPLOYMENT.model_copy(update={"name": "a" * 46}),
                "agent": AGENT.model_copy(update={"name": "a" * 46}),
            },
            (
                f"agent {'a' * 46}: given a name of 46 characters; allowed: at most 45 on Kubernetes, of "
                "lowercase letters, digits and dashes"
            ),
        ),
        (
            {"image": "registry.example/agents:1"},
            (
                "image: given 'registry.example/agents:1'; allowed: REPOSITORY@sha256: and 64 hexadecimal "
                "digits, as tags move"
            ),
        ),
        (
            {"deployment": DEPLOYMENT.model_copy(update={"upgrade_mode": "stateless"})},
            (
                f"agent {NAME}: given upgrade mode stateless; allowed: last-state, savepoint, as another "
                "forgets what the agent knows"
            ),
        ),
        (
            {"deployment": with_options(**{"high-availability__type": "none"})},
            (
                f"agent {NAME}: given high-availability.type none; allowed: kubernetes, or its state could "
                "be lost"
            ),
        ),
        (
            {"deployment": with_options(**{"kubernetes__operator__job__savepoint-on-deletion": None})},
            (
                f"agent {NAME}: given kubernetes.operator.job.savepoint-on-deletion None; allowed: true, or "
                "its state could be lost"
            ),
        ),
        (
            {"deployment": with_options(**{"s3__secret-key": "hunter2"})},
            f"agent {NAME}: given s3.secret-key; allowed: none, as its pods have a role",
        ),
        (
            {"model_key": None},
            (
                f"agent {NAME}: given no secret for its model's key, declared as MODEL_KEY; allowed: a "
                "secret of the cluster and its key"
            ),
        ),
        (
            {"agent": AGENT.model_copy(update={"key_variables": {}})},
            (f"agent {NAME}: given a secret for its model's key; allowed: none, as no key is declared"),
        ),
        (
            {"bedrock_models": ["arn:aws:bedrock:*::foundation-model/*"]},
            (
                f"agent {NAME}: given model 'arn:aws:bedrock:*::foundation-model/*'; allowed: ARNs of "
                "Bedrock's models and inference profiles, one each, without *"
            ),
        ),
        (
            {"scraper_cidrs": ["0.0.0.0/0"]},
            f"agent {NAME}: given 0.0.0.0/0; allowed: blocks of your own, not everybody",
        ),
    ],
)
def test_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(HeadraceError) as refused:
        arguments(**changed)
    assert str(refused.value) == message


def test_state_without_a_place_is_refused() -> None:
    names = {bucket: f"dev-{bucket}" for bucket in STATE if bucket != "savepoints"}
    with pytest.raises(HeadraceError) as refused:
        StateBuckets(names=names, arns=names, key_arn=STATE_KEY)
    assert str(refused.value) == (
        "state storage: given no bucket savepoints; allowed: checkpoints, high-availability, savepoints, "
        "each with name and ARN"
    )
