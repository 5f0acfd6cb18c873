"""Where the parts on AWS find each other: most addresses are known only when the resources are."""

from __future__ import annotations

from headrace.plan.because import Because, because
from headrace.plan.place import OWN_DISK, Place

REPLICATION, IN_SYNC = 3, 2
LATER = "0 addresses are known before the resource is made: the substrate puts it here"


def aws_place(zones: int, kafka: str) -> Place:
    """IAM on TLS everywhere; a copy of each record in each zone, or three where there are two.

    Express brokers fix the copies that confirm a write, and take no size of segments (MSK developer guide,
    topic-level configurations on Express brokers).
    """
    iam: Because[dict[str, str]] = because(
        {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "AWS_MSK_IAM",
            "sasl.jaas.config": "software.amazon.msk.auth.iam.IAMLoginModule required;",
            "sasl.client.callback.handler.class": "software.amazon.msk.auth.iam.IAMClientCallbackHandler",
        },
        "TLS and the pod's own role: 0 passwords",
    )
    return Place(
        brokers=because("", LATER),
        flink_client=Because(iam.value, dict.fromkeys(iam.value, iam.reasons[""])),
        journal_client=Because(
            {"security.protocol": "sasl_ssl", "sasl.mechanism": "OAUTHBEARER"},
            dict.fromkeys(
                ("security.protocol", "sasl.mechanism"),
                "librdkafka knows no AWS_MSK_IAM: 1 token of the pod's role, signed by the job",
            ),
        ),
        scripted_model=because("", "0 scripted models run on AWS"),
        database={
            "database.hostname": ("", LATER),
            "database.port": ("5432", "PostgreSQL's own port, 5432"),
            "database.sslmode": ("require", "0 rows and 0 passwords go over the network in clear text"),
        },
        slot_failover=(True, "a standby that takes over has the slot: 0 changes are lost"),
        replication=because(
            REPLICATION, f"{REPLICATION} copies over {zones} zones: 1 lost broker loses no record"
        ),
        topic_settings={}
        if kafka == "express"
        else {
            **OWN_DISK,
            "min.insync.replicas": (
                IN_SYNC,
                f"{IN_SYNC} of {REPLICATION} copies confirm a write, so it goes on with 1 broker lost",
            ),
        },
    )
