"""What a client may do with Kafka, as MSK's IAM actions; topics, groups and transactions by name."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from headrace.aws.iam import Statement, allow


def kafka_arns(cluster: pulumi.Output[str], kind: str, names: Sequence[str]) -> list[pulumi.Output[str]]:
    """ARNs of topics, groups or transactions (``transactional-id``): the cluster's with another kind."""
    base = cluster.apply(lambda arn: arn.replace(":cluster/", f":{kind}/", 1))
    return [pulumi.Output.concat(base, "/", name) for name in names]


def connection(cluster: pulumi.Output[str]) -> Statement:
    """To connect, and to write without repetition."""
    return allow(
        ["kafka-cluster:Connect", "kafka-cluster:DescribeCluster", "kafka-cluster:WriteDataIdempotently"],
        [cluster],
    )


def groups(cluster: pulumi.Output[str], names: Sequence[str]) -> Statement:
    return allow(
        ["kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"], kafka_arns(cluster, "group", names)
    )


def transactions(cluster: pulumi.Output[str], names: Sequence[str]) -> Statement:
    return allow(
        ["kafka-cluster:AlterTransactionalId", "kafka-cluster:DescribeTransactionalId"],
        kafka_arns(cluster, "transactional-id", names),
    )
