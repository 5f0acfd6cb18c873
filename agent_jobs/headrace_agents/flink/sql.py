"""The job's two tables and its query, as SQL text; nothing here needs Flink.

Records go in and out as raw bytes with their Kafka metadata. The shard of a record is worked out in
SQL, so that the stream can be keyed without a Python worker in front of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headrace_agents.control import SHARD_FIELD
from headrace_agents.spec import AgentJobSpec

SOURCE = "changes"
SINK = "results"


def source_table(spec: AgentJobSpec) -> str:
    options = {
        "connector": "kafka",
        "topic": ";".join([*(topic.topic for topic in spec.inputs), *spec.feedback.all]),
        "properties.group.id": spec.name,
        "properties.isolation.level": "read_committed",
        "properties.partition.discovery.interval.ms": "30000",
        "scan.startup.mode": "earliest-offset",
        **_connection(spec),
        **_RAW,
    }
    return f"""CREATE TEMPORARY TABLE {SOURCE} (
      `record_key` BYTES,
      `record_value` BYTES,
      `topic` STRING METADATA VIRTUAL,
      `partition` INT METADATA VIRTUAL,
      `offset` BIGINT METADATA VIRTUAL,
      `timestamp` TIMESTAMP_LTZ(3) METADATA VIRTUAL
    ) {_with(options)}"""


def sink_table(spec: AgentJobSpec) -> str:
    outputs = spec.outputs
    options = {
        "connector": "kafka",
        "topic": ";".join(outputs.all),
        "properties.max.request.size": str(spec.kafka.max_request_bytes),
        "sink.delivery-guarantee": spec.kafka.delivery,
        **_connection(spec),
        **_RAW,
    }
    if spec.kafka.delivery == "exactly-once":
        options |= {
            "sink.transactional-id-prefix": spec.transactional_id_prefix,
            "sink.transaction-naming-strategy": "POOLING",
            "properties.transaction.timeout.ms": str(spec.kafka.transaction_timeout_ms),
        }
    return f"""CREATE TEMPORARY TABLE {SINK} (
      `topic` STRING METADATA,
      `record_key` BYTES,
      `record_value` BYTES,
      `headers` MAP<STRING, BYTES> METADATA
    ) {_with(options)}"""


def keyed_changes(spec: AgentJobSpec, ids: Sequence[int]) -> str:
    """Rows of shard id and record. All records without a readable key are one shard's.

    Digits among the hex digits of a hash are uniform, which makes nine of them a uniform number. A command
    says itself which shard it is for.
    """
    fields = ", ".join(_key_field(name) for name in spec.key)
    digits = f"SUBSTRING(REGEXP_REPLACE(SHA256(CONCAT_WS(',', {fields})), '[a-f]', ''), 1, 9)"
    named = f"COALESCE(TRY_CAST({_key_field(SHARD_FIELD)} AS INT), 0)"
    number = (
        f"CASE WHEN `topic` = {_literal(spec.feedback.control)} THEN {named} ELSE CAST({digits} AS INT) END"
    )
    shard = f"ARRAY[{', '.join(map(str, ids))}][MOD({number}, {len(ids)}) + 1]"
    # Only numbers and quoted literals are put in.
    return f"""SELECT {shard} AS shard, ROW(
      `topic`, `partition`, `offset`, `timestamp`, `record_key`, `record_value`
    ) AS record FROM {SOURCE}"""  # noqa: S608


_RAW = {
    "key.format": "raw",
    "key.fields": "record_key",
    "value.format": "raw",
    "value.fields-include": "EXCEPT_KEY",
}


def _connection(spec: AgentJobSpec) -> dict[str, str]:
    return {
        "properties.bootstrap.servers": spec.kafka.bootstrap_servers,
        **{f"properties.{name}": value for name, value in spec.kafka.client_properties.items()},
    }


def _key_field(name: str) -> str:
    return f"JSON_VALUE(DECODE(`record_key`, 'UTF-8'), {_literal(f'$[{_quoted(name)}]')})"


def _quoted(name: str) -> str:
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _with(options: Mapping[str, str]) -> str:
    lines = ",\n      ".join(f"{_literal(name)} = {_literal(value)}" for name, value in options.items())
    return f"WITH (\n      {lines}\n    )"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
