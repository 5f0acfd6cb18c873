"""Good workloads, Flink deployments, agents and topics, varied within what is allowed."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import strategies as st

from headrace_policies import agents, checkpoints, flink, kafka, s3
from headrace_policies import kubernetes as k8s
from headrace_policies.agent_specs import CONFIG_MAP, LOCAL_JOB
from headrace_policies.checkpoint_paths import FLINK_DEPLOYMENT
from headrace_policies.rule import Declared, Example
from headrace_policies.samples import TAGS
from tests.policies.good_aws import NAMES, NO, Strategy, alone, one


def pods(kind: str) -> Strategy:
    def nested(spec: Any) -> dict[str, Any]:
        if kind == k8s.POD:
            return {"spec": spec}
        template = {"spec": {"template": {"spec": spec}}}
        return {"spec": {"jobTemplate": template}} if kind == k8s.CRON_JOB else template

    by_reference = {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}
    container = st.fixed_dictionaries(
        {"name": NAMES},
        optional={
            "securityContext": st.fixed_dictionaries({}, optional={"privileged": NO}),
            "env": st.just([by_reference]),
        },
    )
    spec = st.fixed_dictionaries(
        {
            "serviceAccountName": NAMES.filter(lambda name: name != "default"),
            "containers": st.lists(container, min_size=1, max_size=2),
        }
    )
    return one(kind, spec.map(nested))


def deployments() -> Strategy:
    return st.builds(
        lambda parallelism, most, mode, unit: (
            Declared(
                FLINK_DEPLOYMENT,
                dict(flink.GOOD_DEPLOYMENT)
                | {
                    "spec": dict(flink.GOOD_DEPLOYMENT["spec"])
                    | {
                        "job": {"parallelism": parallelism, "upgradeMode": mode},
                        "flinkConfiguration": dict(flink.GOOD_DEPLOYMENT["spec"]["flinkConfiguration"])
                        | {
                            "pipeline.max-parallelism": str(most),
                            "execution.checkpointing.interval": unit,
                        },
                    }
                },
            ),
            *(declared for declared in checkpoints_bucket()),
        ),
        st.integers(1, 64),
        st.integers(64, 32768),
        st.sampled_from(["last-state", "savepoint"]),
        st.sampled_from(["2 s", "2000", "500ms", "1 min", "2 minutes"]),
    )


def checkpoints_bucket() -> Example:
    """The bucket that the good deployment names, with the settings of a good one but for versions."""
    bucket = {"bucket": "orders"}
    by_default = {"sseAlgorithm": "aws:kms"}
    upload = {"abortIncompleteMultipartUpload": {"daysAfterInitiation": 7}}
    return (
        Declared(s3.BUCKET_TYPE, bucket | {"tags": TAGS}, "orders"),
        Declared(s3.ACCESS_BLOCK, bucket | dict.fromkeys(s3.BLOCKS, True)),
        Declared(s3.POLICY, bucket | {"policy": s3.TLS_ONLY}),
        Declared(s3.LOGGING, bucket | {"targetBucket": "logs"}),
        Declared(s3.LIFECYCLE, bucket | {"rules": [{"id": "u", "status": "Enabled"} | upload]}),
        Declared(s3.ENCRYPTION, bucket | {"rules": [{"applyServerSideEncryptionByDefault": by_default}]}),
    )


SPECS = st.builds(
    lambda timeout, endpoint: (
        dict(agents.GOOD_SPEC)
        | {"kafka": {"transaction_timeout_ms": timeout}}
        | {"model": dict(agents.GOOD_SPEC["model"]) | {"endpoint": endpoint}}
    ),
    st.integers(90_001, checkpoints.KAFKA_DEFAULT_MAXIMUM_MS),
    st.sampled_from(["https://models.example.com/v1", "http://127.0.0.1:8000/v1", "http://localhost/v1"]),
)
GOOD_STREAMS: dict[str, Callable[[], Strategy]] = {
    k8s.NAMESPACE: lambda: NAMES.map(
        lambda name: (
            Declared(k8s.NAMESPACE, {"metadata": {"name": name}}),
            Declared(k8s.NETWORK_POLICY, {"metadata": {"namespace": name}}),
        )
    ),
    **{kind: partial(pods, kind) for kind in (k8s.POD, k8s.CRON_JOB, *k8s.TEMPLATED)},
    FLINK_DEPLOYMENT: deployments,
    CONFIG_MAP: lambda: SPECS.map(
        lambda spec: (Declared(CONFIG_MAP, {"data": {"agent.json": json.dumps(spec), "notes": "any"}}),)
    ),
    LOCAL_JOB: lambda: SPECS.map(lambda spec: (Declared(LOCAL_JOB, {"spec": spec}),)),
    kafka.MSK_TOPIC: lambda: st.builds(
        lambda copies, in_sync: (
            Declared(
                kafka.MSK_TOPIC,
                {"replicationFactor": copies, "configs": json.dumps({kafka.MIN_IN_SYNC: str(in_sync)})},
            ),
        ),
        st.integers(3, 5),
        st.integers(2, 3),
    ),
    kafka.KAFKA_TOPIC: lambda: alone(
        kafka.KAFKA_TOPIC, replicationFactor=st.integers(3, 5), config=st.just({kafka.MIN_IN_SYNC: "2"})
    ),
}
