"""What an agent's pods may do on AWS: reach what is the agent's, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from headrace.aws.iam import Statement, allow
from headrace.aws.kafka_rights import connection, groups, kafka_arns, transactions
from headrace.errors import HeadraceError
from headrace.plan.state_storage import CHECKPOINTS, HIGH_AVAILABILITY, SAVEPOINTS
from headrace.state.layout import ERASURES
from headrace_agents.spec import AgentJobSpec

RUNTIME_GROUPS = ("headrace-journal", "headrace-ledger", "headrace-reader")
"""The runtime's, for reading its journal, what is granted of budgets, and topics in an upgrade; it commits
nothing to them."""
MODEL_ARN = re.compile(
    r"arn:[a-z-]+:bedrock:[a-z0-9-]*:[0-9]{0,12}:"
    r"(foundation-model|inference-profile|application-inference-profile|provisioned-model|custom-model)/"
    r"[\w.:/-]+",
    re.ASCII,
)


@dataclass(frozen=True, kw_only=True)
class StateBuckets:
    """Buckets by what is in them, as `CheckpointStorage` gives them.

    Raises:
        HeadraceError: one of checkpoints, savepoints and high availability is missing.
    """

    names: Mapping[str, pulumi.Input[str]]
    arns: Mapping[str, pulumi.Input[str]]
    key_arn: pulumi.Input[str]
    """The key that they are encrypted with."""

    def __post_init__(self) -> None:
        for bucket in (CHECKPOINTS, SAVEPOINTS, HIGH_AVAILABILITY):
            if bucket not in self.names or bucket not in self.arns:
                raise HeadraceError(
                    f"state storage: given no bucket {bucket}; allowed: {CHECKPOINTS}, {HIGH_AVAILABILITY}, "
                    f"{SAVEPOINTS}, each with name and ARN"
                )


def refuse_unknown_models(agent: str, models: Sequence[str]) -> None:
    """Raises:
    HeadraceError: one is no ARN of one model of Bedrock.
    """
    for model in models:
        if not MODEL_ARN.fullmatch(model):
            raise HeadraceError(
                f"agent {agent}: given model {model!r}; allowed: ARNs of Bedrock's models and inference "
                "profiles, one each, without *"
            )


def agent_rights(
    spec: AgentJobSpec,
    kafka_cluster_arn: pulumi.Input[str],
    state: StateBuckets,
    bedrock_models: Sequence[str],
) -> list[Statement]:
    """Its folders of state, its topics, its models; nothing of another agent's."""
    kafka = pulumi.Output.from_input(kafka_cluster_arn)
    return [
        *_state_rights(spec.name, state),
        *_kafka_rights(spec, kafka),
        *_model_rights(bedrock_models),
    ]


def _state_rights(agent: str, state: StateBuckets) -> list[Statement]:
    folders = {
        CHECKPOINTS: (agent,),
        SAVEPOINTS: (agent, f"{ERASURES}/{agent}"),
        HIGH_AVAILABILITY: (agent,),
    }
    objects = [
        pulumi.Output.concat(state.arns[bucket], f"/{folder}/*")
        for bucket, inside in folders.items()
        for folder in inside
    ]
    listed = [
        allow(
            ["s3:ListBucket"],
            [state.arns[bucket]],
            {"StringLike": {"s3:prefix": [f"{folder}{end}" for folder in inside for end in ("", "/*")]}},
        )
        for bucket, inside in folders.items()
    ]
    return [
        allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"], objects),
        *listed,
        allow(
            ["kms:Decrypt", "kms:GenerateDataKey"],
            [state.key_arn],
            {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}},
        ),
    ]


def _kafka_rights(spec: AgentJobSpec, cluster: pulumi.Output[str]) -> list[Statement]:
    read = [*(each.topic for each in spec.inputs), spec.feedback.answers, spec.feedback.replays]
    # The sink looks for its own transactions among a topic's producers, which is to read; the journal is
    # read after a failure; whoever is past a budget may pause the agent.
    kept = [spec.journal.topic, spec.spending.budgets, spec.spending.costs]
    both = [*spec.outputs.all, *kept, spec.feedback.control]
    describe_and_read = ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"]
    return [
        connection(cluster),
        allow(describe_and_read, kafka_arns(cluster, "topic", read)),
        allow([*describe_and_read, "kafka-cluster:WriteData"], kafka_arns(cluster, "topic", both)),
        groups(cluster, [spec.name, *RUNTIME_GROUPS]),
        transactions(cluster, [f"{spec.transactional_id_prefix}*"]),
    ]


def _model_rights(models: Sequence[str]) -> list[Statement]:
    return [allow(["bedrock:InvokeModel"], models)] if models else []
