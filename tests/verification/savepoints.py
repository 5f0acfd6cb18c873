"""Savepoints for tests of verification, made by Flink in a process of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
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

PROJECT = Path(__file__).parents[2]
DECLARATION = PROJECT / "stacks" / "Pulumi.local.yaml"
WRITE = Path(__file__).parent / "programs" / "write.py"
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
    inputs, files = inputs_of(spec, root), StackFiles(root)
    folder = files.etc("writing")
    savepoints = root / "savepoints"
    for each in (folder, savepoints, files.scratch("writing"), Path(spec.settings.get("folder", folder))):
        each.mkdir(parents=True, exist_ok=True)
    for name, content in inputs.client_files.items():
        (folder / name).write_text(content)
    (folder / "job.json").write_text(spec.model_dump_json())
    runtimes = Runtimes.locate()
    python = str(runtimes.agents_python)
    filled = [] if memories is None else ["--memories", str(memories), "--size", str(size)]
    with (root / "written.log").open("w") as log:
        done = subprocess.run(
            [
                *(str(runtimes.flink / "bin" / "flink"), "run", "--target", "local"),
                *("--pyExecutable", python, "--pyClientExecutable", python, "--python", str(WRITE)),
                *("--spec", str(folder / "job.json"), "--folder", str(savepoints), *filled),
            ],
            env=os.environ | inputs.environment | {"JVM_ARGS": "-Xmx512m -XX:+UseSerialGC"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=TIMEOUT_S,
        )
    assert done.returncode == 0, (root / "written.log").read_text()[-4000:]
    return (savepoints / "path").read_text()
