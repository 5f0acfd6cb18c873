"""The verification of a savepoint as a Flink job: its shards one by one, and nothing else of the agent's job.

``flink run --target local ... --python verify.py --spec FILE --savepoint PATH --report FILE``, which
:mod:`headrace_agents.verify_command` does. Flink restores the savepoint as it does for the agent's job: to an
operator with the same id, the same keys and the same state. There is no source but one element for each
shard, no sink and no model; Flink's own way brings the reports back to this program.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway

from headrace_agents.flink.keyed import configuration_of, key_by_shard
from headrace_agents.flink.preflight import read_spec
from headrace_agents.flink.verify_function import VerifyFunction
from headrace_agents.operators import AGENT
from headrace_agents.shards import shard_ids
from headrace_agents.spec import AgentJobSpec
from headrace_agents.verification import Finding, Report, combined

_LOOPBACK = "127.0.0.1"
_BATCH_BYTES = 32 << 20
"""Of entries that are in a message to the worker at once, at most; they may all be as large as allowed."""
_MOST_ENTRIES = 200
"""In a message: more of them make it no faster."""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="headrace_agents.flink.verify")
    parser.add_argument("--spec", type=Path, required=True, help="file with an AgentJobSpec as JSON")
    parser.add_argument("--savepoint", required=True, help="path of the savepoint's folder")
    parser.add_argument("--report", type=Path, required=True, help="file that the report is written to")
    parser.add_argument("--failure", type=Path, required=True, help="file for why there is no report")
    options = parser.parse_args(arguments)
    try:
        report = verify(read_spec(options.spec), options.savepoint)
    except Exception as error:
        # Flink's client ends its output with a stack of its own, which says nothing.
        options.failure.write_text(_told(error))
        raise
    options.report.write_bytes(report.encode())


def verify(spec: AgentJobSpec, savepoint: str) -> Report:
    """Whatever the report says, the savepoint is as it was."""
    environment = StreamExecutionEnvironment.get_execution_environment(
        configuration_of(_options(spec, savepoint))
    )
    refused = tuple(_refusals(spec, savepoint))
    if refused:
        return Report(agent=spec.name, failures=refused)
    return combined(spec.name, _shards(spec, environment))


def _shards(spec: AgentJobSpec, environment: StreamExecutionEnvironment) -> Iterator[Report]:
    # A state with other shards than the specification's, of which there may be more, has other ids: what
    # they hold, no shard of the new version would ever see.
    ids = shard_ids(max(spec.shards, spec.max_parallelism), spec.max_parallelism)
    turns = environment.from_collection([Row(id_, 0) for id_ in ids], Types.ROW([Types.INT(), Types.INT()]))
    reports = (
        key_by_shard(turns, Types.INT())
        .process(VerifyFunction(spec.model_dump_json()), Types.STRING())
        .name(f"verification of {spec.name}")
        .uid(AGENT)
    )
    with reports.execute_and_collect(f"verification of {spec.name}") as found:
        for report in found:
            yield Report.model_validate_json(report)


def _options(spec: AgentJobSpec, savepoint: str) -> dict[str, str]:
    limits = spec.limits
    largest = max(limits.max_event_bytes, limits.max_memory_bytes)
    return {
        "parallelism.default": "1",
        "pipeline.max-parallelism": str(spec.max_parallelism),
        "execution.state-recovery.path": savepoint,
        # Nothing of the savepoint is this job's: not to be changed, and not to be removed.
        "execution.state-recovery.claim-mode": "NO_CLAIM",
        # The source's and the sink's, which are not here.
        "execution.state-recovery.ignore-unclaimed-state": "true",
        "restart-strategy.type": "none",
        # What a cluster's configuration may say and a job within one process has no use for.
        "high-availability.type": "NONE",
        "jobmanager.scheduler": "default",
        "rest.bind-port": "0",
        **dict.fromkeys(("rest.bind-address", "jobmanager.bind-host", "taskmanager.bind-host"), _LOOPBACK),
        "state.backend.type": "rocksdb",
        "taskmanager.memory.managed.size": "64m",
        # An entry is read once: nothing is kept for a second time.
        "python.state.cache-size": "1",
        "python.map-state.read-cache-size": "1",
        "python.map-state.iterate-response-batch-size": str(
            max(1, min(_MOST_ENTRIES, _BATCH_BYTES // largest))
        ),
        "python.fn-execution.bundle.size": "1",
    }


def _refusals(spec: AgentJobSpec, savepoint: str) -> Iterator[Finding]:
    """Where no state would reach the operator. Flink itself would pass over state that nobody asks for."""
    operators = {state.getOperatorUid().orElse(""): state for state in _operators(savepoint)}
    state = operators.get(AGENT)
    if state is None:
        there = ", ".join(sorted(filter(None, operators))) or "none that has an id"
        reason = f"the savepoint holds no state of the operator {AGENT}; its operators: {there}"
    elif state.getMaxParallelism() != spec.max_parallelism:
        reason = (
            f"its max parallelism is {state.getMaxParallelism()}, the specification's {spec.max_parallelism}"
        )
    else:
        return
    yield Finding(kind="operator", reason=reason, total=1)


def _operators(savepoint: str) -> list[Any]:
    """``OperatorState`` of each operator that the savepoint has state of."""
    jvm = get_gateway().jvm
    storage = jvm.org.apache.flink.runtime.state.filesystem.AbstractFsCheckpointStorageAccess
    metadata = storage.resolveCheckpointPointer(savepoint).getMetadataHandle().openInputStream()
    try:
        read = jvm.org.apache.flink.runtime.checkpoint.Checkpoints.loadCheckpointMetadata(
            jvm.java.io.DataInputStream(metadata),
            jvm.java.lang.Thread.currentThread().getContextClassLoader(),
            savepoint,
        )
        return list(read.getOperatorStates())
    finally:
        metadata.close()


def _told(error: Exception) -> str:
    """Without the lines of Java's stack: its causes, one below the other."""
    lines = str(error).splitlines()
    told = [line for line in lines if line.strip() and not line.lstrip().startswith(("at ", "... "))]
    return f"{type(error).__name__}: " + "\n".join(told)


if __name__ == "__main__":
    main(sys.argv[1:])
