"""The local broker (KRaft, one process) and Kafka Connect's worker."""

from __future__ import annotations

from headrace.environment.model import Environment
from headrace.environment.units import DAY_MS, MIB, MINUTE_MS, SECOND_MS
from headrace.plan import recovery
from headrace.plan.because import Because, because, build, settings
from headrace.plan.model import JvmProcessPlan, Ports
from headrace.plan.place import Place
from headrace.plan.ports import LOOPBACK
from headrace.plan.topics import OUTPUT_BYTES

BROKER_HEAP_MIB, CONNECT_HEAP_MIB = 512, 512
CLIENT_REQUEST_BYTES = OUTPUT_BYTES + MIB
"""``max.request.size`` of producers: above every topic's limit, so that the topic is what decides."""
ONE_BROKER = "the local broker is 1 process, so 1 copy"
PARTITIONS = 8
IDS_KEPT_DAYS = 7
OFFSETS_KEPT_MINUTES = 2**31 - 1
DEDUPE_BYTES = 32 * MIB
RETENTION_CHECK_MS = 5 * MINUTE_MS
SESSION_MS, HEARTBEAT_TO_SESSION = 10 * SECOND_MS, 3
SHUTDOWN_MS = 5 * SECOND_MS
OFFSET_FLUSH_MS = SECOND_MS
ABORT_CHECK_MS = SECOND_MS
JSON_CONVERTER = "org.apache.kafka.connect.json.JsonConverter"
PLAIN_JSON = "JSON without a schema in each record, as the agents read it: a fifth of the bytes"


def broker(environment: Environment, ports: Ports) -> Because[JvmProcessPlan]:
    """``server.properties`` but for the folder of the logs."""
    transaction_max_ms = recovery.broker_transaction_max_ms(environment.recovery)
    kept_ms = max(IDS_KEPT_DAYS * DAY_MS, 2 * transaction_max_ms)
    return build(
        JvmProcessPlan,
        heap_mib=because(
            BROKER_HEAP_MIB, f"{BROKER_HEAP_MIB} MiB: records are in the page cache, not in the heap"
        ),
        settings=settings(
            {
                "process.roles": ("broker,controller", "1 process is both"),
                "node.id": (1, "the only node of the cluster is node 1"),
                "controller.quorum.voters": (
                    f"1@{LOOPBACK}:{ports.kafka_controller}",
                    "node 1 is the whole quorum",
                ),
                "listeners": (
                    f"PLAINTEXT://{LOOPBACK}:{ports.kafka},CONTROLLER://{LOOPBACK}:{ports.kafka_controller}",
                    f"ports {ports.kafka} and {ports.kafka_controller}, loopback only",
                ),
                "advertised.listeners": (
                    f"PLAINTEXT://{LOOPBACK}:{ports.kafka}",
                    f"clients come to port {ports.kafka}",
                ),
                "controller.listener.names": ("CONTROLLER", "the second of the 2 listeners"),
                "inter.broker.listener.name": ("PLAINTEXT", "the first of the 2 listeners"),
                "listener.security.protocol.map": (
                    "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                    "both of the 2 listeners are loopback only",
                ),
                "auto.create.topics.enable": (
                    False,
                    "a misspelt name is an error, not a topic with 1 partition",
                ),
                "offsets.topic.replication.factor": (1, ONE_BROKER),
                "offsets.retention.minutes": (
                    OFFSETS_KEPT_MINUTES,
                    (
                        f"{OFFSETS_KEPT_MINUTES}, the most there is, rather than 10080: after 7 days down a "
                        "connector would read every signal again, and backfill again"
                    ),
                ),
                "offsets.topic.num.partitions": (
                    PARTITIONS,
                    f"{PARTITIONS} rather than 50: few groups, few files",
                ),
                "transaction.state.log.replication.factor": (1, ONE_BROKER),
                "transaction.state.log.min.isr": (1, ONE_BROKER),
                "transaction.state.log.num.partitions": (
                    PARTITIONS,
                    f"{PARTITIONS} rather than 50, as for the offsets",
                ),
                "share.coordinator.state.topic.replication.factor": (1, ONE_BROKER),
                "share.coordinator.state.topic.min.isr": (1, ONE_BROKER),
                "group.initial.rebalance.delay.ms": (0, "0 ms: a lone consumer has nobody to wait for"),
                "transaction.max.timeout.ms": (
                    transaction_max_ms,
                    (
                        f"the agents' {recovery.transaction_timeout_ms(environment.recovery)} ms + "
                        f"{recovery.MARGIN_MS}, or the broker refuses their transactions"
                    ),
                ),
                "transaction.abort.timed.out.transaction.cleanup.interval.ms": (
                    ABORT_CHECK_MS,
                    (
                        f"every {ABORT_CHECK_MS} ms rather than 10000: what a killed worker left open "
                        "is in the next one's way"
                    ),
                ),
                "transactional.id.expiration.ms": (
                    kept_ms,
                    (
                        f"{IDS_KEPT_DAYS} days, at least 2 x {transaction_max_ms} ms: an id is known for as "
                        "long as it may be committed"
                    ),
                ),
                "message.max.bytes": (
                    OUTPUT_BYTES,
                    f"{OUTPUT_BYTES // MIB} MiB, the largest topic limit of the plan",
                ),
                "log.cleaner.dedupe.buffer.size": (
                    DEDUPE_BYTES,
                    (
                        f"{DEDUPE_BYTES // MIB} MiB rather than 128: a quarter of the {BROKER_HEAP_MIB} MiB "
                        "heap would go to compaction"
                    ),
                ),
                "num.recovery.threads.per.data.dir": (2, "2 threads check the logs after a kill"),
                "log.retention.check.interval.ms": (
                    RETENTION_CHECK_MS,
                    f"every {RETENTION_CHECK_MS} ms: old records leave the disk soon",
                ),
            }
        ),
    )


def connect(environment: Environment, ports: Ports, place: Place) -> Because[JvmProcessPlan]:
    """The distributed worker's properties but for the plugin folder and the secrets' folder."""
    group = f"headrace-{environment.name}-connect"
    fixed = f"fixed for environment {environment.name}: with another name the connectors' offsets are lost"
    return build(
        JvmProcessPlan,
        heap_mib=because(
            CONNECT_HEAP_MIB,
            f"{CONNECT_HEAP_MIB} MiB: {len(environment.sources)} connectors with bounded queues",
        ),
        settings=settings(
            {
                "bootstrap.servers": (place.brokers.value, place.brokers.reasons[""]),
                "group.id": (group, fixed),
                "config.storage.topic": (f"{group}-configs", fixed),
                "offset.storage.topic": (f"{group}-offsets", fixed),
                "status.storage.topic": (f"{group}-status", fixed),
                "config.storage.replication.factor": (1, ONE_BROKER),
                "offset.storage.replication.factor": (1, ONE_BROKER),
                "status.storage.replication.factor": (1, ONE_BROKER),
                "offset.storage.partitions": (
                    4,
                    f"4 rather than 25, for {len(environment.sources)} connectors",
                ),
                "status.storage.partitions": (1, "1 rather than 5: a record per change of state"),
                "key.converter": (JSON_CONVERTER, PLAIN_JSON),
                "key.converter.schemas.enable": (False, PLAIN_JSON),
                "value.converter": (JSON_CONVERTER, PLAIN_JSON),
                "value.converter.schemas.enable": (False, PLAIN_JSON),
                "listeners": (f"http://{LOOPBACK}:{ports.connect}", f"port {ports.connect}, loopback only"),
                "rest.advertised.host.name": (LOOPBACK, "1 worker, reached from this machine only"),
                "rest.advertised.port": (ports.connect, f"the REST interface's port, {ports.connect}"),
                "exactly.once.source.support": ("enabled", "1 change is 1 record: connectors require it"),
                "topic.creation.enable": (False, "the plan lists every topic: 0 others may appear"),
                "offset.flush.interval.ms": (
                    OFFSET_FLUSH_MS,
                    f"{OFFSET_FLUSH_MS} ms: what the slot still holds is confirmed soon",
                ),
                "scheduled.rebalance.max.delay.ms": (
                    0,
                    (
                        "0 ms: the only worker takes its tasks back at once; the default waits "
                        "5 minutes after a kill"
                    ),
                ),
                "session.timeout.ms": (SESSION_MS, f"{SESSION_MS} ms until a killed worker is forgotten"),
                "heartbeat.interval.ms": (
                    SESSION_MS // HEARTBEAT_TO_SESSION,
                    f"{HEARTBEAT_TO_SESSION} in the session's {SESSION_MS} ms",
                ),
                "task.shutdown.graceful.timeout.ms": (
                    SHUTDOWN_MS,
                    f"{SHUTDOWN_MS} ms: a stop is quick",
                ),
                "config.providers": (
                    "file",
                    "passwords are references to files: 0 in a connector's configuration",
                ),
                "config.providers.file.class": (
                    "org.apache.kafka.common.config.provider.FileConfigProvider",
                    "Kafka's own provider for those references: 0 code of ours",
                ),
            }
        ),
    )
