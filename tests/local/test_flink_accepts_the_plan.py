"""Flink takes 2 000 plans as they are: every option is known and read, every memory component is as planned.

They go through Flink's own parsers in one JVM (``FlinkAccepts.java``); it needs the installed runtimes, no
network and no stack. What the start scripts make of a configuration is asked once of the program they call.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from headrace.environment import Environment
from headrace.plan import StackPlan, plan
from headrace.plan.network import OVERDRAFT_BUFFERS, slot_buffers
from headrace.toolchain.runtimes import Runtimes
from tests.unit.environment.declarations import environments, parsed, shipped

DECLARATIONS = 2_000
MIB = 1024 * 1024


def flink_says(plans: Sequence[StackPlan]) -> list[str]:
    """One line for each plan, as ``FlinkAccepts.java`` writes it."""
    given_options = "".join(map(lines, plans))
    flink = Runtimes.locate().flink
    jars = [str(jar) for folder in ("lib", "opt") for jar in sorted((flink / folder).glob("flink-*.jar"))]
    s3 = [str(jar) for jar in (flink / "plugins").glob("s3*/*.jar")]
    program = str(Path(__file__).with_name("FlinkAccepts.java"))
    java = ["java", "-cp", ":".join([*jars, *s3]), program, *jars, *s3]
    done = subprocess.run(java, input=given_options, capture_output=True, text=True, check=True, timeout=300)
    return done.stdout.splitlines()


def lines(made: StackPlan) -> str:
    """A plan's options, those of its first job among them, and its widest agent."""
    options = made.flink.configuration | made.agents[0].spec.flink_configuration
    # A reporter's own options are read by the reporter's class, from the text after its name.
    known = {key: value for key, value in options.items() if ".reporter." not in key}
    widest = max(agent.parallelism_max for agent in made.agents)
    return "".join(f"{key}\t{value}\n" for key, value in {**known, "parallelism": str(widest)}.items()) + "\n"


def expected(made: StackPlan) -> str:
    """The line for a plan that is taken as it is."""
    memory, jobmanager = made.flink.taskmanager, made.flink.jobmanager
    sizes = {
        "process": memory.process_mib,
        "overhead": memory.jvm_overhead_mib,
        "metaspace": memory.metaspace_mib,
        "heap": memory.framework_heap_mib + memory.task_heap_mib,
        "direct": memory.framework_offheap_mib + memory.network_mib,
        "task-heap": memory.task_heap_mib,
        "task-off-heap": 0,
        "network": memory.network_mib,
        "managed": memory.managed_mib,
        "jm-process": jobmanager.process_mib,
        "jm-heap": jobmanager.heap_mib,
        "jm-off-heap": jobmanager.offheap_mib,
        "jm-metaspace": jobmanager.metaspace_mib,
        "jm-overhead": jobmanager.jvm_overhead_mib,
    }
    widest = max(agent.parallelism_max for agent in made.agents)
    buffers = slot_buffers(widest) - OVERDRAFT_BUFFERS
    return f"buffers={buffers} " + " ".join(f"{name}={float(mib)}" for name, mib in sizes.items())


def test_random_declarations_are_accepted() -> None:
    plans: list[StackPlan] = []

    @settings(
        max_examples=DECLARATIONS,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(environments())
    def collect(environment: Environment) -> None:
        plans.append(plan(environment))

    collect()
    assert len(plans) >= DECLARATIONS
    said = flink_says(plans)
    assert len(said) == len(plans)
    assert [pair for pair in zip(said, map(expected, plans), strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("taskmanager.memory.network.max", "1m", "refused: "),
        ("jobmanager.memory.jvm-overhead.max", "100m", "refused: "),
        ("heartbeat.timeout", "soon", "unreadable: heartbeat.timeout"),
        ("heartbeat.timeuot", "1 s", "unknown: heartbeat.timeuot"),
    ],
)
def test_what_flink_would_not_take_is_told(key: str, value: str, complaint: str) -> None:
    made = plan(parsed(shipped()))
    broken = made.flink.model_copy(update={"configuration": made.flink.configuration | {key: value}})
    (said,) = flink_says([made.model_copy(update={"flink": broken})])
    assert complaint in said


def test_the_start_scripts_get_the_planned_sizes(tmp_path: Path) -> None:
    made = plan(parsed(shipped()))
    memory, options = made.flink.taskmanager, made.flink.configuration
    configured = "\n".join(f"{key}: {json.dumps(value)}" for key, value in options.items())
    (tmp_path / "config.yaml").write_text(f"{configured}\n", encoding="utf-8")
    flink = Runtimes.locate().flink
    jars = [*(flink / "lib").glob("*.jar"), flink / "bin" / "bash-java-utils.jar"]
    utils = ["org.apache.flink.runtime.util.bash.BashJavaUtils", "GET_TM_RESOURCE_PARAMS"]
    java = ["java", "-cp", ":".join(map(str, jars)), *utils, "--configDir", str(tmp_path)]
    said = subprocess.run(java, capture_output=True, text=True, check=True, timeout=120).stdout
    found = dict(re.findall(r"-D taskmanager\.memory\.([a-z.-]+)=(\d+)b", said))
    assert int(found["managed.size"]) == memory.managed_mib * MIB
    assert int(found["network.max"]) == memory.network_mib * MIB
    assert f"-Xmx{(memory.framework_heap_mib + memory.task_heap_mib) * MIB}" in said
