"""Where the parts on AWS find each other: most addresses are known only when the resources are."""

from __future__ import annotations

from headrace.environment.engines import ENGINES, Engine
from headrace.environment.model import Environment
from headrace.plan.aws.cluster_names import COLLECTOR_NAMESPACE, collector_endpoint, named
from headrace.plan.because import Because, because
from headrace.plan.place import OWN_DISK, Place
from headrace_agents.msk_login import MECHANISM, REGION

REPLICATION, IN_SYNC = 3, 2
TLS: dict[Engine, dict[str, tuple[str, str]]] = {
    "postgresql": {
        "database.sslmode": ("require", "0 rows and 0 passwords go over the network in clear text")
    },
    "mysql": {"database.ssl.mode": ("required", "0 rows and 0 passwords go over the network in clear text")},
    "mariadb": {"database.ssl.mode": ("trust", "0 rows and 0 passwords go over the network in clear text")},
}
"""As each driver says it: encrypted, whoever signed the server's certificate."""
LATER = "0 addresses are known before the resource is made: the substrate puts it here"


def aws_place(environment: Environment) -> Place:
    """IAM on TLS everywhere; a copy of each record in each zone, or three where there are two.

    Express brokers fix the copies that confirm a write, and take no size of segments (MSK developer guide,
    topic-level configurations on Express brokers).
    """
    aws = environment.aws
    iam: Because[dict[str, str]] = because(
        {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "AWS_MSK_IAM",
            "sasl.jaas.config": "software.amazon.msk.auth.iam.IAMLoginModule required;",
            "sasl.client.callback.handler.class": "software.amazon.msk.auth.iam.IAMClientCallbackHandler",
        },
        "TLS and the pod's own role: 0 passwords",
    )
    tokens = {
        "security.protocol": "sasl_ssl",
        "sasl.mechanism": MECHANISM,
        "sasl.oauthbearer.config": f"{REGION}{aws.region}",
    }
    return Place(
        brokers=because("", LATER),
        flink_client=Because(iam.value, dict.fromkeys(iam.value, iam.reasons[""])),
        journal_client=Because(
            tokens,
            dict.fromkeys(
                tokens,
                "librdkafka knows no AWS_MSK_IAM: 1 token of the pod's role at a time, signed by the job",
            ),
        ),
        scripted_model=because("", "0 scripted models run on AWS"),
        collector=because(
            collector_endpoint(named(environment, COLLECTOR_NAMESPACE, "").value),
            "tracing has 0 endpoints declared: the collector of the pod's own node",
        ),
        database={
            engine: {
                "database.hostname": ("", LATER),
                "database.port": (facts.port, f"{facts.title}'s own port, {facts.port}"),
                **TLS[engine],
            }
            for engine, facts in ENGINES.items()
        },
        publication=("filtered", "0 publications are made by the stack: the connector makes its own"),
        takes_signals=because(False, "0 signals are sent on AWS yet: backfills are refused there"),
        slot_failover=(True, "a standby that takes over has the slot: 0 changes are lost"),
        replication=because(
            REPLICATION, f"{REPLICATION} copies over {aws.zones} zones: 1 lost broker loses no record"
        ),
        topic_settings={}
        if aws.kafka == "express"
        else {
            **OWN_DISK,
            "min.insync.replicas": (
                IN_SYNC,
                f"{IN_SYNC} of {REPLICATION} copies confirm a write, so it goes on with 1 broker lost",
            ),
        },
    )
