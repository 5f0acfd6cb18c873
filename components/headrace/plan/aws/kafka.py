"""MSK: kind, size and number of brokers, storage, configuration; MSK Connect's capacity.

Throughput and partitions of a broker are those that the MSK developer guide recommends (best practices for
Standard and Express brokers); they grow with the size of the instance, to 154 and 500 MB/s of the largest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from headrace.environment.aws_parts import Database
from headrace.environment.engines import ENGINES, Engine
from headrace.environment.model import Environment
from headrace.environment.units import DAY_MS, GIB, KIB, SECOND_MS
from headrace.plan import recovery
from headrace.plan.aws.model import (
    ConnectorCapacityPlan,
    ConnectPlan,
    DatabasePlan,
    MskPlan,
    PluginPlan,
)
from headrace.plan.aws.place import IN_SYNC, REPLICATION
from headrace.plan.because import Because, because, build, sequence, settings
from headrace.plan.kafka import IDS_KEPT_DAYS, JSON_CONVERTER, PLAIN_JSON
from headrace.plan.model import SourcePlan, TopicPlan
from headrace.plan.topics import KEEP_DAYS, OUTPUT_BYTES

BYTES_PER_MBPS = 1_000_000
EVENT_BYTES = 2 * KIB
RECORDS_PER_EVENT = 4
"""The change, its decision, its outcome, and a step in the journal."""
MBPS_OF_LARGE = {"express": 15.6, "standard": 4.8}
"""Recommended ingress of a broker of size large; a size has twice that of the one before."""
SIZES = {
    "large": 1_000,
    "xlarge": 1_000,
    "2xlarge": 2_000,
    "4xlarge": 4_000,
    "8xlarge": 4_000,
    "16xlarge": 4_000,
}
"""Recommended partitions of a broker, replicas included."""
STORAGE_MIN_GIB, STORAGE_MAX_GIB, STORAGE_TO_NEED = 100, 16_384, 2
EVENTS_PER_MCU = 5_000
MCU_STEPS = (1, 2, 4, 8)
SECRETS_PROVIDER = "com.amazonaws.kafka.config.providers.SecretsManagerConfigProvider"
"""Of AWS's msk-config-providers, which the plugin carries."""
PLUGIN_FOLDERS: dict[Engine, str] = {
    "postgresql": "debezium-postgres",
    "mysql": "debezium-mysql",
    "mariadb": "debezium-mariadb",
}
"""In the plugin's archive, by the engine that it captures."""


def msk(environment: Environment, topics: Sequence[TopicPlan]) -> Because[MskPlan]:
    """Brokers for the declared load and the planned topics."""
    kind, zones = environment.aws.kafka, environment.aws.zones
    mbps = _ingress_mbps(environment)
    replicas = sum(topic.partitions * topic.replication for topic in topics)
    brokers = _brokers(kind, zones, mbps, replicas)
    size = _size(kind, mbps / brokers, replicas / brokers)
    family = "express.m7g" if kind == "express" else "kafka.m7g"
    return build(
        MskPlan,
        kind=because(kind, f"declared as substrate.kafka {kind}"),
        instance_type=because(
            f"{family}.{size}",
            f"the smallest that takes {mbps / brokers:.2f} MB/s and {replicas / brokers:.0f} replicas for "
            f"each of {brokers} brokers",
        ),
        brokers=because(
            brokers, f"a multiple of {zones} zones, for {REPLICATION} copies and {mbps:.2f} MB/s in all"
        ),
        storage_gib=_storage_gib(kind, mbps, brokers),
        configuration=_configuration(environment, kind),
    )


def connect(environment: Environment, sources: Sequence[SourcePlan]) -> Because[ConnectPlan]:
    """The worker's configuration, and each connector's units."""
    group = f"headrace-{environment.name}-connect"
    fixed = f"fixed for environment {environment.name}: MSK Connect makes a new one for each new connector"
    return build(
        ConnectPlan,
        worker_configuration=settings(
            {
                "offset.storage.topic": (f"{group}-offsets", fixed),
                "key.converter": (JSON_CONVERTER, PLAIN_JSON),
                "key.converter.schemas.enable": (False, PLAIN_JSON),
                "value.converter": (JSON_CONVERTER, PLAIN_JSON),
                "value.converter.schemas.enable": (False, PLAIN_JSON),
                # A worker's default is `disabled`; MSK Connect takes it (supported worker configuration).
                "exactly.once.source.support": ("enabled", "1 change is 1 record: connectors require it"),
                "config.providers": ("secretsmanager", "passwords are references: 0 in a configuration"),
                "config.providers.secretsmanager.class": (
                    SECRETS_PROVIDER,
                    "AWS's own provider for those references: 0 code of ours",
                ),
            }
        ),
        plugin=build(
            PluginPlan,
            archive=because(environment.aws.plugin.archive, "declared as substrate.plugin.archive"),
            sha256=because(environment.aws.plugin.sha256, "declared as substrate.plugin.sha256"),
        ),
        databases=sequence(_database(environment, declared) for declared in environment.aws.databases),
        connectors=sequence(_capacity(environment, source) for source in sources),
    )


def _database(environment: Environment, declared: Database) -> Because[DatabasePlan]:
    engine = ENGINES[next(each.engine for each in environment.sources if each.name == declared.source)]
    where = f"declared in substrate.databases for source {declared.source}"
    return build(
        DatabasePlan,
        name=because(declared.source, "the source's name: 1 database each"),
        host=because(declared.host, where),
        port=because(declared.port, where)
        if declared.port is not None
        else because(engine.port, f"0 are declared: {engine.title}'s own, {engine.port}"),
        security_group_id=because(declared.security_group_id, where),
        secret_arn=because(declared.secret_arn, where),
        secret_key_arn=because(declared.secret_key_arn, where),
        preflight=because(
            declared.preflight,
            "1 look before each change of its connector"
            if declared.preflight == "required"
            else "declared: 0 looks, and the slot stays when the source goes",
        ),
    )


def _capacity(environment: Environment, source: SourcePlan) -> Because[ConnectorCapacityPlan]:
    read = {table.topic for table in source.tables}
    rate = sum(agent.workload.events_per_second for agent in environment.agents if read & set(agent.inputs))
    return build(
        ConnectorCapacityPlan,
        name=because(source.connector, "the connector's name"),
        mcu=because(
            next((step for step in MCU_STEPS if step * EVENTS_PER_MCU >= rate), MCU_STEPS[-1]),
            f"{rate} events/s at {EVENTS_PER_MCU} for each unit, as 1 of {MCU_STEPS}",
        ),
        workers=because(1, "1 reader for each source: a slot or a binlog is read in order"),
    )


def _ingress_mbps(environment: Environment) -> float:
    rate = sum(agent.workload.events_per_second for agent in environment.agents)
    return rate * RECORDS_PER_EVENT * EVENT_BYTES / BYTES_PER_MBPS


def _size(kind: str, mbps: float, replicas: float) -> str:
    """The first size that takes both; the number of brokers is such that the largest does."""
    return next(
        size
        for at, (size, most) in enumerate(SIZES.items())
        if MBPS_OF_LARGE[kind] * 2**at >= mbps and most >= replicas
    )


def _brokers(kind: str, zones: int, mbps: float, replicas: int) -> int:
    """As many a zone as the largest size needs, and enough for every copy of a record."""
    largest_mbps: float = MBPS_OF_LARGE[kind] * 2 ** (len(SIZES) - 1)
    needed = max(REPLICATION, mbps / largest_mbps, replicas / max(SIZES.values()))
    return zones * math.ceil(needed / zones)


def _storage_gib(kind: str, mbps: float, brokers: int) -> Because[int] | Because[None]:
    if kind == "express":
        return because(None, "0 GiB are provisioned: Express brokers bring their own storage")
    kept_s = KEEP_DAYS * DAY_MS // SECOND_MS
    need = STORAGE_TO_NEED * mbps * BYTES_PER_MBPS * kept_s * REPLICATION / brokers / GIB
    return because(
        max(STORAGE_MIN_GIB, min(STORAGE_MAX_GIB, math.ceil(need))),
        f"{STORAGE_TO_NEED} x {mbps:.2f} MB/s x {KEEP_DAYS} days x {REPLICATION} copies / {brokers} brokers "
        f"= {need:.0f} GiB, kept between {STORAGE_MIN_GIB} and {STORAGE_MAX_GIB}",
    )


def _configuration(environment: Environment, kind: str) -> Because[dict[str, str]]:
    """What a broker is told; Express brokers fix the copies and those in sync, at the same values."""
    copies: dict[str, tuple[int, str]] = {
        "default.replication.factor": (REPLICATION, f"{REPLICATION} copies, as the plan's topics"),
        "min.insync.replicas": (IN_SYNC, f"{IN_SYNC} of {REPLICATION}, as the plan's topics"),
    }
    transaction_max_ms = recovery.broker_transaction_max_ms(environment.recovery)
    return settings(
        {
            "auto.create.topics.enable": (False, "a misspelt name is an error, not a topic with 1 partition"),
            **(copies if kind == "standard" else {}),
            "message.max.bytes": (OUTPUT_BYTES, f"{OUTPUT_BYTES} bytes, the largest topic limit of the plan"),
            "transaction.max.timeout.ms": (
                transaction_max_ms,
                f"the agents' timeout + {recovery.MARGIN_MS} ms, or the broker refuses their transactions",
            ),
            "transactional.id.expiration.ms": (
                max(IDS_KEPT_DAYS * DAY_MS, 2 * transaction_max_ms),
                f"{IDS_KEPT_DAYS} days, at least 2 x {transaction_max_ms} ms: an id outlives its transaction",
            ),
        }
    )
