"""Runs a job with an agent's state in a Flink of its own and stops it with a native savepoint.

``flink run --target local ... --python write.py --spec FILE --folder FOLDER``. Either the agent operator
itself sees things of the datagen connector, or its state is filled without it: with ``--memories`` that are
alike, or with ``--changed`` what :mod:`tests.verification.changed` has. Writes the savepoint's path to
``FOLDER/path``.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path

from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

from headrace_agents.flink.function import OUTPUT_TYPE, RECORD_TYPE, AgentFunction
from headrace_agents.flink.keyed import configuration_of, key_by_shard
from headrace_agents.flink.preflight import read_spec
from headrace_agents.flink.state import BYTES
from headrace_agents.operators import AGENT
from headrace_agents.shards import shard_ids
from headrace_agents.spec import AgentJobSpec
from tests.verification import changed
from tests.verification.agents import THINGS
from tests.verification.programs.filling import Entries, Fill, numbered

TIMEOUT_S = 300


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--spec", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--memories", type=int)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--changed", action="store_true")
    options = parser.parse_args()
    spec, folder = read_spec(options.spec), options.folder
    environment = StreamExecutionEnvironment.get_execution_environment(
        configuration_of(
            {
                "parallelism.default": "1",
                "pipeline.max-parallelism": str(spec.max_parallelism),
                "rest.bind-port": "0",
                "jobmanager.bind-host": "127.0.0.1",
                "taskmanager.bind-host": "127.0.0.1",
                "state.backend.type": "rocksdb",
                "execution.checkpointing.storage": "filesystem",
                "execution.checkpointing.dir": f"file://{folder}/checkpoints",
                "taskmanager.memory.managed.size": "128m",
            }
        )
    )
    tables = StreamTableEnvironment.create(environment)
    ids = shard_ids(spec.shards, spec.max_parallelism)
    entries = _entries(options, spec)
    things = THINGS if entries is None else spec.shards
    tables.execute_sql(_generator(things, 20 if entries is None else 1_000))
    records = key_by_shard(tables.to_data_stream(tables.sql_query(_query(spec, ids))), RECORD_TYPE)
    if entries is None:
        expected = [Path(spec.settings["folder"], str(thing)) for thing in range(THINGS)]
        results = records.process(AgentFunction(spec.model_dump_json()), OUTPUT_TYPE)
    else:
        expected = [folder / "filled"]
        results = records.process(Fill(ids, entries, expected[0]), BYTES)
    results.uid(AGENT).print()
    job = environment.execute_async(spec.name)
    _wait(expected)
    native = get_gateway().jvm.org.apache.flink.core.execution.SavepointFormatType.NATIVE
    # PyFlink's own method asks for the canonical format.
    stopped = job._j_job_client.stopWithSavepoint(False, f"file://{folder}", native)
    (folder / "path").write_text(stopped.get())


def _entries(options: argparse.Namespace, spec: AgentJobSpec) -> Entries | None:
    if options.changed:
        return changed.memories
    if options.memories is None:
        return None
    return partial(numbered, shards=spec.shards, memories=options.memories, size=options.size)


def _generator(numbers: int, per_second: int) -> str:
    return f"""CREATE TEMPORARY TABLE numbers (n INT) WITH (
      'connector' = 'datagen', 'rows-per-second' = '{per_second}',
      'fields.n.min' = '0', 'fields.n.max' = '{numbers - 1}'
    )"""


def _query(spec: AgentJobSpec, ids: tuple[int, ...]) -> str:
    (topic,) = spec.inputs
    schema, _, table = topic.table.partition(".")
    source = f'{{"schema":"{schema}","table":"{table}"}}'
    row = """CONCAT('{"id":', CAST(n AS STRING), '}')"""
    envelope = f"""CONCAT('{{"op":"c","source":{source},"after":', {row}, '}}')"""
    # Only numbers and names of this test are put in.
    return f"""SELECT ARRAY[{", ".join(map(str, ids))}][MOD(n, {len(ids)}) + 1] AS shard, ROW(
      '{topic.topic}', 0, CAST(n AS BIGINT), TO_TIMESTAMP_LTZ(0, 3), ENCODE({row}, 'UTF-8'),
      ENCODE({envelope}, 'UTF-8')
    ) AS record FROM numbers"""


def _wait(expected: list[Path]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while missing := [file for file in expected if not file.exists()]:
        if time.monotonic() > deadline:
            sys.exit(f"not there in time: {', '.join(map(str, missing))}")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
