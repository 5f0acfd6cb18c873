"""The job of one agent: Kafka, the agent operator, Kafka.

``flink run ... -pym headrace_agents.flink.job --spec FILE``, with an :class:`AgentJobSpec` as JSON.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import Schema, StreamTableEnvironment
from pyflink.table.types import DataTypes

from headrace_agents.agent import AgentError
from headrace_agents.flink import sql
from headrace_agents.flink.function import BUNDLE_EVENTS, OUTPUT_TYPE, RECORD_TYPE, AgentFunction
from headrace_agents.flink.keyed import OPERATOR, configuration_of, key_by_shard
from headrace_agents.flink.preflight import JobError, read_spec
from headrace_agents.shards import key_group, shard_ids
from headrace_agents.spec import DIGEST_PARAMETER, AgentJobSpec

_HOLD_MS = 5
"""How long Flink may hold an event back, on its way to the operator and in it, for others to come with it.

Under load it makes no difference: events pile up while the worker is busy with a bundle. At 50 events/s 5 ms
instead of 20 took 48 ms off an event's way for a tenth of a processor core.
"""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="headrace_agents.flink.job", description="Submits one agent's job.")
    parser.add_argument("--spec", type=Path, required=True, help="file with an AgentJobSpec as JSON")
    path = parser.parse_args(arguments).spec
    try:
        spec = read_spec(path)
        submit(spec)
    except (JobError, AgentError) as error:
        sys.exit(f"{path}: {error}")


def submit(spec: AgentJobSpec) -> None:
    environment = StreamExecutionEnvironment.get_execution_environment(_configuration(spec))
    build(spec, environment)
    environment.execute(spec.name)


def build(spec: AgentJobSpec, environment: StreamExecutionEnvironment) -> None:
    """Adds the whole pipeline to the environment."""
    tables = StreamTableEnvironment.create(environment)
    tables.execute_sql(sql.source_table(spec))
    tables.execute_sql(sql.sink_table(spec))
    ids = shard_ids(spec.shards, spec.max_parallelism)
    _check_key_groups(ids, spec.max_parallelism)
    changes = tables.to_data_stream(tables.sql_query(sql.keyed_changes(spec, ids)))
    results = (
        key_by_shard(changes, RECORD_TYPE)
        .process(AgentFunction(spec.model_dump_json()), OUTPUT_TYPE)
        .name(spec.name)
        .uid(OPERATOR)
    )
    table = tables.from_data_stream(results, _output_schema())
    statements = tables.create_statement_set()
    statements.add_insert(sql.SINK, table)
    statements.attach_as_datastream()
    _name_what_has_state(environment)


def _configuration(spec: AgentJobSpec) -> Configuration:
    options = {
        **spec.flink_configuration,
        "parallelism.default": str(spec.parallelism),
        "pipeline.max-parallelism": str(spec.max_parallelism),
        "pipeline.global-job-parameters": f"{DIGEST_PARAMETER}:{spec.digest()}",
        # What this program's own code rests on follows: nothing else may choose it.
        "python.fn-execution.bundle.size": str(BUNDLE_EVENTS),
        # With the default of 1000 ms an event was measured to take 1.2 s longer.
        "python.fn-execution.bundle.time": str(_HOLD_MS),
        # Else an event waits up to 100 ms for its network buffer to fill.
        "execution.buffer-timeout.interval": f"{_HOLD_MS} ms",
        # The planner's ids number its nodes; what has state is given an id by _name_what_has_state.
        "table.exec.uid.generation": "DISABLED",
    }
    return configuration_of(options)


def _name_what_has_state(environment: StreamExecutionEnvironment) -> None:
    """Gives source and sink ids of their own, so that a changed job finds their state in a savepoint.

    The planner's ids number its nodes, which any change of the query shifts.
    """
    java_environment = environment._j_stream_execution_environment  # noqa: SLF001 - as above
    *_, sink = java_environment.getTransformations()
    sink.setUid("results")
    source = sink
    while source.getInputs():
        (source,) = source.getInputs()
    source.setUid("changes")


def _output_schema() -> Schema:
    return (
        Schema.new_builder()
        .column("topic", DataTypes.STRING())
        .column("record_key", DataTypes.BYTES())
        .column("record_value", DataTypes.BYTES())
        .column("headers", DataTypes.MAP(DataTypes.STRING(), DataTypes.BYTES()))
        .build()
    )


def _check_key_groups(ids: Sequence[int], max_parallelism: int) -> None:
    """Asks this Flink whether it hashes as :mod:`headrace_agents.shards` does."""
    jvm = get_gateway().jvm
    row = jvm.org.apache.flink.types.Row(1)
    assignment = jvm.org.apache.flink.runtime.state.KeyGroupRangeAssignment
    for shard in ids:
        row.setField(0, shard)
        group = assignment.assignToKeyGroup(row, max_parallelism)
        if group != key_group(shard, max_parallelism):
            raise JobError(f"this Flink puts shard {shard} into key group {group}: shards would be uneven")


if __name__ == "__main__":
    main(sys.argv[1:])
