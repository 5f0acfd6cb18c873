"""Flink takes the plan as it is: every option is known and can be read, every memory component adds up."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from headrace.plan import StackPlan, plan
from headrace.toolchain.runtimes import Runtimes
from tests.unit.environment.declarations import parsed, shipped

MIB = 1024 * 1024


def declared(taskmanagers: int, agents: int, parallelism: int, keys: int) -> StackPlan:
    """A plan of the shipped declaration at another size."""
    declaration = shipped()
    declaration["substrate"]["taskmanagers"] = taskmanagers
    agent: dict[str, Any] = declaration["agents"][0]
    agent["workload"]["keys"] = keys
    agent["scaling"] = {"parallelism_min": parallelism, "parallelism_max": 128}
    declaration["agents"] = [agent | {"name": f"agent-{at}"} for at in range(agents)]
    return plan(parsed(declaration))


def flink_says(command: str, made: StackPlan, folder: Path) -> str:
    """What Flink's start scripts would get for this configuration: JVM arguments and ``-D`` options."""
    lines = [f"{key}: {json.dumps(value)}" for key, value in made.flink.configuration.items()]
    (folder / "config.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    flink = Runtimes.locate().flink
    jars = ":".join(
        str(jar) for jar in [*(flink / "lib").glob("*.jar"), flink / "bin" / "bash-java-utils.jar"]
    )
    done = subprocess.run(
        [
            "java",
            "-cp",
            jars,
            "org.apache.flink.runtime.util.bash.BashJavaUtils",
            command,
            "--configDir",
            str(folder),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sizes(said: str) -> dict[str, int]:
    """The ``-D`` options that are sizes, in bytes."""
    found = re.findall(r"-D (taskmanager\.memory\.[a-z.-]+)=(\d+)b", said)
    return {name.removeprefix("taskmanager.memory."): int(size) for name, size in found}


@pytest.mark.parametrize(
    ("taskmanagers", "agents", "parallelism", "keys"),
    [(2, 1, 2, 10_000), (1, 1, 1, 1), (4, 3, 5, 1_000_000), (2, 8, 16, 10_000_000)],
)
def test_flink_takes_every_component_as_planned(
    tmp_path: Path, taskmanagers: int, agents: int, parallelism: int, keys: int
) -> None:
    made = declared(taskmanagers, agents, parallelism, keys)
    memory = made.flink.taskmanager
    said = flink_says("GET_TM_RESOURCE_PARAMS", made, tmp_path)
    assert sizes(said) == {
        "network.min": memory.network_mib * MIB,
        "network.max": memory.network_mib * MIB,
        "task.heap.size": memory.task_heap_mib * MIB,
        "task.off-heap.size": 0,
        "framework.heap.size": memory.framework_heap_mib * MIB,
        "framework.off-heap.size": memory.framework_offheap_mib * MIB,
        "managed.size": memory.managed_mib * MIB,
        "jvm-metaspace.size": memory.metaspace_mib * MIB,
        "jvm-overhead.min": memory.jvm_overhead_mib * MIB,
        "jvm-overhead.max": memory.jvm_overhead_mib * MIB,
    }
    heap = memory.framework_heap_mib + memory.task_heap_mib
    assert f"-Xmx{heap * MIB}" in said


def test_flink_takes_the_jobmanagers_memory(tmp_path: Path) -> None:
    made = declared(taskmanagers=2, agents=8, parallelism=1, keys=1_000)
    said = flink_says("GET_JM_RESOURCE_PARAMS", made, tmp_path)
    found = re.findall(r"-D jobmanager\.memory\.(?!jvm-overhead\.max)[a-z.-]+=(\d+)b", said)
    assert sum(map(int, found)) == made.flink.jobmanager.process_mib * MIB


def test_flink_knows_and_can_read_every_option(tmp_path: Path) -> None:
    made = declared(taskmanagers=2, agents=1, parallelism=2, keys=10_000)
    options = made.flink.configuration | made.agents[0].spec.flink_configuration
    # A reporter's own options are read by the reporter's class, from the text after its name.
    lines = "\n".join(f"{key}\t{value}" for key, value in options.items() if ".reporter." not in key)
    flink = Runtimes.locate().flink
    jars = [str(jar) for folder in ("lib", "opt") for jar in sorted((flink / folder).glob("flink-*.jar"))]
    java = ["java", "-cp", ":".join(jars), str(Path(__file__).with_name("FlinkOptions.java")), *jars]
    done = subprocess.run(
        java, input=lines, capture_output=True, text=True, check=True, timeout=120, cwd=tmp_path
    )
    assert done.stdout == ""
