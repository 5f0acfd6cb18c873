"""A plain PyFlink job with ``AsyncFunction``: the runtime's own source, sink and client of the model.

No memory, no order of a key's events, PyFlink's defaults. ``--spec FILE``, as the runtime's job takes it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pyflink.common import Configuration, Row, Time
from pyflink.datastream import AsyncDataStream, AsyncFunction, RuntimeContext, StreamExecutionEnvironment
from pyflink.table import Schema, StreamTableEnvironment
from pyflink.table.types import DataTypes

from headrace_agents.chat import ChatModel
from headrace_agents.flink import sql
from headrace_agents.flink.function import OUTPUT_TYPE
from headrace_agents.model.connecting import connected
from headrace_agents.spec import AgentJobSpec
from tests.bench.agents.programs.work import decide


class Ask(AsyncFunction):  # type: ignore[misc]  # PyFlink has no types
    def __init__(self, spec_json: str) -> None:
        self._spec_json = spec_json

    def open(self, runtime_context: RuntimeContext) -> None:
        self._spec = AgentJobSpec.model_validate_json(self._spec_json)
        self._model: ChatModel | None = None

    async def async_invoke(self, value: Row) -> list[Row]:
        key, data, topic, partition, offset, _timestamp = value
        if self._model is None and self._spec.model is not None:
            self._model = connected(self._spec.model)  # on the loop that uses it
        decided = await decide(data, f"{topic}/{partition}@{offset}", self._model)
        return [Row(self._spec.outputs.decisions, key, decided, {})]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=Path, required=True)
    spec = AgentJobSpec.model_validate_json(parser.parse_args().spec.read_bytes())
    environment = StreamExecutionEnvironment.get_execution_environment(_configuration(spec))
    tables = StreamTableEnvironment.create(environment)
    tables.execute_sql(sql.source_table(spec))
    tables.execute_sql(sql.sink_table(spec))
    changes = tables.to_data_stream(tables.from_path(sql.SOURCE))
    decisions = AsyncDataStream.unordered_wait(
        changes,
        Ask(spec.model_dump_json()),
        Time.milliseconds(spec.limits.run_deadline_ms),
        spec.model.max_concurrency if spec.model else 100,
        OUTPUT_TYPE,
    )
    schema = (
        Schema.new_builder()
        .column("topic", DataTypes.STRING())
        .column("record_key", DataTypes.BYTES())
        .column("record_value", DataTypes.BYTES())
        .column("headers", DataTypes.MAP(DataTypes.STRING(), DataTypes.BYTES()))
        .build()
    )
    statements = tables.create_statement_set()
    statements.add_insert(sql.SINK, tables.from_data_stream(decisions, schema))
    statements.attach_as_datastream()
    environment.execute(spec.name)


def _configuration(spec: AgentJobSpec) -> Configuration:
    configuration = Configuration()
    options = {
        **spec.flink_configuration,
        "parallelism.default": str(spec.parallelism),
        "pipeline.max-parallelism": str(spec.max_parallelism),
    }
    for name, value in options.items():
        configuration.set_string(name, value)
    return configuration


if __name__ == "__main__":
    main()
