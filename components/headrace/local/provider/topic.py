"""A Kafka topic."""

from __future__ import annotations

from typing import Any, ClassVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from headrace.errors import HeadraceError
from headrace.local.kafka_client import SILENT
from headrace.provider.resource import Inputs, JsonObject, Kind

TIMEOUT_S = 30
UNREACHABLE_TIMEOUT_S = 5

UNREACHABLE = (
    # The client's own errors are public; the underscore says that they come from no broker.
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
)


class TopicInputs(Inputs):
    bootstrap_servers: str
    name: str
    partitions: int
    replication: int
    config: dict[str, str]


class TopicKind(Kind[TopicInputs]):
    token = "headrace-local:index:Topic"
    inputs = TopicInputs
    replace_on = frozenset({"name", "replication"})
    settled: ClassVar = {"status": "present"}
    unobserved = frozenset({"bootstrap_servers"})

    def identify(self, inputs: TopicInputs) -> str:
        return inputs.name

    def create(self, inputs: TopicInputs) -> JsonObject:
        admin = _admin(inputs)
        new = NewTopic(inputs.name, inputs.partitions, inputs.replication, config=inputs.config)
        try:
            admin.create_topics([new], operation_timeout=TIMEOUT_S)[inputs.name].result(TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
            self._align(admin, inputs)
        return {"status": "present"}

    def read(self, inputs: TopicInputs) -> JsonObject | None:
        admin = _admin(inputs)
        try:
            partitions = _partitions(admin, inputs.name, UNREACHABLE_TIMEOUT_S)
            if partitions is None:
                return None
            return {"status": "present", "partitions": partitions, "config": _config(admin, inputs)}
        except KafkaException as error:
            if error.args[0].code() in UNREACHABLE:
                return {"status": "unreachable"}
            raise

    def delete(self, inputs: TopicInputs) -> None:
        # Held until there is an answer: what a client is asked for ends with it.
        admin = _admin(inputs)
        try:
            admin.delete_topics([inputs.name])[inputs.name].result(TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise

    def _align(self, admin: AdminClient, inputs: TopicInputs) -> None:
        partitions = _partitions(admin, inputs.name, TIMEOUT_S) or 0
        if partitions != inputs.partitions:
            # Fewer Kafka refuses; with more, a key's next record may be read before its last one.
            raise HeadraceError(
                f"topic {inputs.name} has {partitions} partitions, the plan says {inputs.partitions}: a"
                " change would break the order of a key's records. Go back to the scaling bounds that it was"
                " made with, or start with an empty stack (`headrace clean`). It was left as it is"
            )
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in inputs.config.items()
        ]
        if entries:
            resource = ConfigResource(ResourceType.TOPIC, inputs.name, incremental_configs=entries)
            admin.incremental_alter_configs([resource])[resource].result(TIMEOUT_S)


def _admin(inputs: TopicInputs) -> AdminClient:
    # The client's own log would go to the plugin's output, which is the engine's.
    return AdminClient({"bootstrap.servers": inputs.bootstrap_servers}, logger=SILENT)


def _partitions(admin: AdminClient, name: str, timeout_s: float) -> int | None:
    topics = admin.list_topics(timeout=timeout_s).topics
    return len(topics[name].partitions) if name in topics else None


def _config(admin: AdminClient, inputs: TopicInputs) -> dict[str, str]:
    """The broker's values of the entries that were declared."""
    resource = ConfigResource(ResourceType.TOPIC, inputs.name)
    entries: dict[str, Any] = admin.describe_configs([resource])[resource].result(TIMEOUT_S)
    return {name: str(entries[name].value) for name in inputs.config if name in entries}
