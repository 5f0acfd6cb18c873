"""Flink takes 2 000 plans as they are: every option is known and read, every memory component is as planned.

They go through Flink's own parsers in one JVM (``FlinkAccepts.java``); it needs the installed runtimes, no
network and no stack. What the start scripts make of a configuration is asked once of the program they call.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from headrace.environment import Environment
from headrace.plan import plan
from headrace.plan.aws import aws_plan
from headrace.plan.model import AgentPlan, FlinkPlan
from headrace.plan.network import OVERDRAFT_BUFFERS, slot_buffers
from headrace.toolchain.runtimes import Runtimes
from tests.local.operator_options import DOCUMENTED, is_of_the_operator
from tests.unit.environment.declarations import aws_environments, environments, parsed, shipped

DECLARATIONS, ON_AWS = 2_000, 200
MIB = 1024 * 1024


@dataclass(frozen=True)
class Cluster:
    """A planned Flink cluster and the agents that may run on it."""

    flink: FlinkPlan
    agents: tuple[AgentPlan, ...]

    @property
    def widest(self) -> int:
        return max(agent.parallelism_max for agent in self.agents)


def on_this_machine(environment: Environment) -> list[Cluster]:
    made = plan(environment)
    return [Cluster(made.flink, made.agents)]


def there(environment: Environment) -> list[Cluster]:
    made = aws_plan(environment)
    return [
        Cluster(deployment.flink, (agent,))
        for deployment, agent in zip(made.deployments, made.agents, strict=True)
    ]


def flink_says(clusters: Sequence[Cluster]) -> list[str]:
    """One line for each cluster, as ``FlinkAccepts.java`` writes it."""
    given_options = "".join(map(lines, clusters))
    flink = Runtimes.locate().flink
    jars = [str(jar) for folder in ("lib", "opt") for jar in sorted((flink / folder).glob("flink-*.jar"))]
    s3 = [str(jar) for jar in (flink / "plugins").glob("s3*/*.jar")]
    program = str(Path(__file__).with_name("FlinkAccepts.java"))
    java = ["java", "-cp", ":".join([*jars, *s3]), program, *jars, *s3]
    done = subprocess.run(java, input=given_options, capture_output=True, text=True, check=True, timeout=300)
    return done.stdout.splitlines()


def lines(made: Cluster) -> str:
    """A cluster's options, those of its first job among them, and its widest agent."""
    options = made.flink.configuration | made.agents[0].spec.flink_configuration
    # A reporter's own options are read by the reporter's class, from the text after its name.
    known = {
        key: value
        for key, value in options.items()
        if ".reporter." not in key and not is_of_the_operator(key)
    }
    known["parallelism"] = str(made.widest)
    return "".join(f"{key}\t{value}\n" for key, value in known.items()) + "\n"


def expected(made: Cluster) -> str:
    """The line for a cluster that is taken as it is planned."""
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
    buffers = slot_buffers(made.widest) - OVERDRAFT_BUFFERS
    return f"buffers={buffers} " + " ".join(f"{name}={float(mib)}" for name, mib in sizes.items())


@pytest.mark.parametrize(
    ("declarations", "strategy", "clusters"),
    [(DECLARATIONS, environments(), on_this_machine), (ON_AWS, aws_environments(), there)],
    ids=["local", "aws"],
)
def test_random_declarations_are_accepted(
    declarations: int,
    strategy: SearchStrategy[Environment],
    clusters: Callable[[Environment], list[Cluster]],
) -> None:
    found: list[list[Cluster]] = []

    @settings(
        max_examples=declarations,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(strategy)
    def collect(environment: Environment) -> None:
        found.append(clusters(environment))

    collect()
    assert len(found) >= declarations
    made = [cluster for each in found for cluster in each]
    of_the_operator = {key for each in made for key in each.flink.configuration if is_of_the_operator(key)}
    assert of_the_operator <= DOCUMENTED
    said = flink_says(made)
    assert len(said) == len(made)
    assert [pair for pair in zip(said, map(expected, made), strict=True) if pair[0] != pair[1]] == []


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
    (made,) = on_this_machine(parsed(shipped()))
    broken = made.flink.model_copy(update={"configuration": made.flink.configuration | {key: value}})
    (said,) = flink_says([Cluster(broken, made.agents)])
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
