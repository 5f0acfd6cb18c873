"""The job of one agent: Kafka, the agent operator, Kafka.

``flink run ... -pym headrace_agents.flink.job --spec FILE``, with an :class:`AgentJobSpec` as JSON. With
``--go FILE`` all is made ready first and the job submitted when that file is there, from the snapshot that
it names: so an upgrade's gap has no client in it that starts.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import Schema, StreamTableEnvironment
from pyflink.table.types import DataTypes

from headrace_agents.agent import AgentError
from headrace_agents.flink import sql
from headrace_agents.flink.function import BUNDLE_EVENTS, OUTPUT_TYPE, RECORD_TYPE, AgentFunction
from headrace_agents.flink.keyed import configuration_of, key_by_shard
from headrace_agents.flink.preflight import JobError, read_spec
from headrace_agents.flink.ready import READY
from headrace_agents.operators import AGENT, CHANGES, RESULTS
from headrace_agents.shards import key_group, shard_ids
from headrace_agents.spec import DIGEST_PARAMETER, AgentJobSpec

_HOLD_MS = 5
"""How long Flink may hold an event back, on its way to the operator and in it, for others to come with it.

Under load it makes no difference: events pile up while the worker is busy with a bundle. At 50 events/s 5 ms
instead of 20 took 48 ms off an event's way for a tenth of a processor core.
"""


_POLL_S = 0.05
_WARM_UPS = 3


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="headrace_agents.flink.job", description="Submits one agent's job.")
    parser.add_argument("--spec", type=Path, required=True, help="file with an AgentJobSpec as JSON")
    parser.add_argument("--go", type=Path, help="wait for this file: JSON, `snapshot` is where to go on from")
    parser.add_argument("--of", type=int, help="process that writes it; without it nobody waits")
    given = parser.parse_args(arguments)
    path = given.spec
    try:
        spec = read_spec(path)
        submit(spec, None if given.go is None else Go(given.go, given.of))
    except (JobError, AgentError) as error:
        sys.exit(f"{path}: {error}")


@dataclass(frozen=True)
class Go:
    """What a client waits for that is ready to submit its job."""

    file: Path
    """Written in one go; JSON: ``snapshot``, a path or null."""
    by: int | None
    """The process that writes it."""

    def snapshot(self) -> str | None:
        """Raises JobError when who was to write it is gone."""
        print(f"{READY}; waiting for {self.file}", flush=True)
        while not self.file.exists():
            if self.by is not None and not _is_alive(self.by):
                raise JobError(f"process {self.by} ended, and {self.file} is not there")
            time.sleep(_POLL_S)
        found: str | None = json.loads(self.file.read_text(encoding="utf-8"))["snapshot"]
        return found


def submit(spec: AgentJobSpec, go: Go | None = None) -> None:
    environment = StreamExecutionEnvironment.get_execution_environment(_configuration(spec))
    build(spec, environment)
    if go is not None:
        if not go.file.exists():  # else nobody waits, and the submission itself is the first one
            _warm_up(environment)
        if (snapshot := go.snapshot()) is not None:
            recovery = Configuration()
            recovery.set_string("execution.state-recovery.path", snapshot)
            environment.configure(recovery)
    environment.execute(spec.name)


def _warm_up(environment: StreamExecutionEnvironment) -> None:
    """Has Java load and compile what a submission goes through: that took it three of four seconds."""
    jvm, java_environment = get_gateway().jvm, environment._j_stream_execution_environment  # noqa: SLF001 - as below
    for _ in range(_WARM_UPS):
        graph = java_environment.getStreamGraph(False)
        graph.serializeUserDefinedInstances()
        jvm.org.apache.flink.util.InstantiationUtil.serializeObject(graph)
    cluster = jvm.org.apache.flink.client.deployment.StandaloneClusterId.getInstance()
    client = jvm.org.apache.flink.client.program.rest.RestClusterClient(
        java_environment.getConfiguration(), cluster
    )
    try:
        client.listJobs().get()
    finally:
        client.close()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


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
        .uid(AGENT)
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
    sink.setUid(RESULTS)
    source = sink
    while source.getInputs():
        (source,) = source.getInputs()
    source.setUid(CHANGES)


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
