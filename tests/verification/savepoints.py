"""Savepoints for tests of verification, made by Flink in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headrace.local.agent_jobs.inputs import AgentJobInputs
from headrace.local.context import LocalContext
from headrace.local.files import StackFiles
from headrace.local.flink import client_environment, client_files
from headrace.operations.stack import Stack
from headrace.toolchain.runtimes import Runtimes
from headrace_agents.agent import load
from headrace_agents.spec import AgentJobSpec
from headrace_agents.testing import DEFAULT_LIMITS, in_memory_spec
from tests.verification.changed import FILE

PROJECT = Path(__file__).parents[2]
DECLARATION = PROJECT / "stacks" / "Pulumi.local.yaml"
PROGRAMS = Path(__file__).parent / "programs"
WRITE, RESTORE = PROGRAMS / "write.py", PROGRAMS / "restore.py"
TIMEOUT_S = 600
LIMITS = DEFAULT_LIMITS.model_copy(
    # A run that never ends must keep out nothing else.
    update={"run_deadline_ms": 600_000, "inbox_soft_events": 1_000_000, "inbox_hard_events": 2_000_000}
)


def spec_of(entry_point: str, settings: Mapping[str, Any] | None = None, **changes: Any) -> AgentJobSpec:
    """Of a job without a journal topic: it needs nothing beside Flink."""
    chosen = dict(settings or {})
    spec = in_memory_spec(load(entry_point, chosen), ("id",), LIMITS, "none")
    told = {"name": "things", "shards": 16, "max_parallelism": 32, "settings": chosen, **changes}
    return spec.model_copy(update=told)


def inputs_of(spec: AgentJobSpec, root: Path) -> AgentJobInputs:
    """As the stack has them, whose folder is `root`; none of its processes is there."""
    stack = Stack.find("local", DECLARATION, PROJECT)
    context = LocalContext(stack.plan, StackFiles(root), Runtimes.locate())
    python_path = {"PYTHONPATH": str(PROJECT)}
    return AgentJobInputs(
        root=str(root),
        flink_endpoint=context.flink_endpoint,
        object_store_endpoint=context.object_store_endpoint,
        spec=spec.model_dump(mode="json"),
        command=("none",),
        client_files=client_files(context),
        environment=client_environment(context, "writing") | python_path,
        packages={},
        healthy_for_s=1,
    )


def written(spec: AgentJobSpec, root: Path, memories: int | None = None, size: int = 1024) -> str:
    """Path of a native savepoint of a job that has seen things, or of that many memories of `size` bytes."""
    filled = [] if memories is None else ["--memories", str(memories), "--size", str(size)]
    return _written(spec, root, filled)


def written_changes(spec: AgentJobSpec, root: Path, changes: Path) -> str:
    """Of the memories that are in a file of :mod:`tests.verification.changed`."""
    return _written(spec, root, ["--changed"], {FILE: str(changes)})


def restored_changes(
    spec: AgentJobSpec, root: Path, changes: Path, savepoint: str
) -> dict[int, tuple[bool, bool]]:
    """By shard, whether verification says that it can be gone on from, and whether the operator went on."""
    told = root / "told.jsonl"
    told.unlink(missing_ok=True)
    _run(spec, root, RESTORE, ["--savepoint", savepoint, "--told", str(told)], {FILE: str(changes)})
    lines = (json.loads(line) for line in told.read_text().splitlines())
    return {shard: (is_proven, goes_on) for shard, is_proven, goes_on in lines}


def _written(
    spec: AgentJobSpec, root: Path, filled: Sequence[str], environment: Mapping[str, str] | None = None
) -> str:
    savepoints = root / "savepoints"
    savepoints.mkdir(parents=True, exist_ok=True)
    _run(spec, root, WRITE, ["--folder", str(savepoints), *filled], environment or {})
    return (savepoints / "path").read_text()


def _run(
    spec: AgentJobSpec, root: Path, program: Path, options: Sequence[str], environment: Mapping[str, str]
) -> None:
    """A program of the agents' environment, in a Flink of its own; fails where it does not end well."""
    inputs, files = inputs_of(spec, root), StackFiles(root)
    folder = files.etc("writing")
    for each in (folder, files.scratch("writing"), Path(spec.settings.get("folder", folder))):
        each.mkdir(parents=True, exist_ok=True)
    for name, content in inputs.client_files.items():
        (folder / name).write_text(content)
    (folder / "job.json").write_text(spec.model_dump_json())
    runtimes = Runtimes.locate()
    python = str(runtimes.agents_python)
    given = {**environment, "JVM_ARGS": "-Xmx512m -XX:+UseSerialGC"}
    log = root / f"{program.stem}.log"
    with log.open("w") as output:
        done = subprocess.run(
            [
                *(str(runtimes.flink / "bin" / "flink"), "run", "--target", "local"),
                *("--pyExecutable", python, "--pyClientExecutable", python, "--python", str(program)),
                *("--spec", str(folder / "job.json"), *options),
            ],
            env=os.environ | inputs.environment | given,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=TIMEOUT_S,
        )
    assert done.returncode == 0, log.read_text()[-4000:]
