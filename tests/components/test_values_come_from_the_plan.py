"""Every value that the local substrate configures is a leaf of the plan, with its reason there.

What the substrate adds is listed here: places on this machine, and what a person's secret is found by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from headrace.local import LocalStack, StackFiles
from headrace.local.agent import complete
from headrace.plan.leaves import leaves
from headrace.plan.model import CommonPlan, StackPlan
from headrace.toolchain.runtimes import Runtimes
from tests.components.recording import Registered, fit_of, registered
from tests.components.test_local_stack import PREFIX, files, ordinary_machine, runtimes, shipped, stack

__all__ = ["files", "ordinary_machine", "runtimes", "shipped", "stack"]

OF_THIS_MACHINE = {
    "jobmanager": {"env.java.opts.all", "metrics.reporter.prom.port"},
    "taskmanager": {
        "env.java.opts.all", "io.tmp.dirs", "metrics.reporter.prom.port", "taskmanager.data.port",
        "taskmanager.resource-id", "taskmanager.rpc.port",
    },
    "connect": {"config.providers.file.param.allowed.paths", "plugin.path"},
    "kafka": {"log.dirs"},
    "object-store": {"jclouds.filesystem.basedir"},
    "postgres": {"hba_file", "ident_file"},
    "zookeeper": {"dataDir"},
    "connector": {"database.password"},
    "agent": {
        "execution.checkpointing.dir", "execution.checkpointing.savepoint-dir", "python.pythonpath",
    },
}  # fmt: skip
"""Folders, a process's own port and name, the distribution's ``--add-opens``, the password's reference."""


def reasoned(plan: CommonPlan, mapping: Mapping[str, str], prefix: str) -> dict[str, str]:
    """The entries of a mapping of the plan, each of which has to be a leaf with a reason."""
    found = {leaf.path: leaf.reason for leaf in leaves(plan)}
    for key in mapping:
        assert found[f"{prefix}.{key}"]
    return dict(mapping)


def without_nothing(value: Any) -> Any:
    """Pulumi's mocks drop what is None."""
    if isinstance(value, dict):
        return {key: without_nothing(inner) for key, inner in value.items() if inner is not None}
    return [without_nothing(inner) for inner in value] if isinstance(value, list) else value


def written(stack: Registered, process: str, name: str) -> dict[str, str]:
    text = stack[f"{PREFIX}Process {process}"]["inputs"]["files"][name]
    if name.endswith(".yaml"):
        return dict(yaml.safe_load(text))
    pairs = (line.split("=", 1) for line in text.splitlines())
    return {key.strip(): value.strip().strip("'").replace("\\\\", "\\") for key, value in pairs}


@pytest.mark.parametrize("process", ["jobmanager", "taskmanager-1", "taskmanager-2"])
def test_flinks_configuration(stack: Registered, shipped: StackPlan, process: str) -> None:
    planned = reasoned(shipped, shipped.flink.configuration, "flink.configuration")
    configured = written(stack, process, "config.yaml")
    added = OF_THIS_MACHINE[process.partition("-")[0]]
    assert set(configured) - set(planned) == added
    assert {key: configured[key] for key in planned} == planned


@pytest.mark.parametrize(
    ("process", "file", "part"),
    [
        ("connect", "worker.properties", "connect"),
        ("kafka", "server.properties", "kafka"),
        ("object-store", "s3proxy.properties", "object_store"),
        ("zookeeper", "zoo.cfg", "zookeeper"),
        ("postgres", "postgresql.conf", "database_server"),
    ],
)
def test_a_processs_own_configuration(
    stack: Registered, shipped: StackPlan, process: str, file: str, part: str
) -> None:
    planned = reasoned(shipped, getattr(shipped, part).settings, f"{part}.settings")
    configured = written(stack, process, file)
    assert set(configured) - set(planned) == OF_THIS_MACHINE[process]
    assert {key: configured[key] for key in planned} == planned


def test_topics(stack: Registered, shipped: StackPlan) -> None:
    made = {key.split()[1]: found["inputs"] for key, found in stack.items() if f"{PREFIX}Topic " in key}
    for at, topic in enumerate(shipped.topics):
        reasoned(shipped, topic.config, f"topics[{at}].config")
        inputs = made.pop(topic.name)
        assert inputs["config"] == topic.config
        assert (inputs["partitions"], inputs["replication"]) == (topic.partitions, topic.replication)
    assert made == {}


def test_connectors(stack: Registered, shipped: StackPlan) -> None:
    made = {key.split()[1]: found["inputs"] for key, found in stack.items() if f"{PREFIX}Connector " in key}
    for at, source in enumerate(shipped.sources):
        planned = reasoned(shipped, source.connector_config, f"sources[{at}].connector_config")
        config = made.pop(source.connector)["config"]
        assert set(config) - set(planned) == OF_THIS_MACHINE["connector"]
        assert {key: config[key] for key in planned} == planned
    assert made == {}


def test_limits_and_everything_else_that_a_job_is_told(
    stack: Registered, shipped: StackPlan, files: StackFiles, runtimes: Runtimes
) -> None:
    for at, agent in enumerate(shipped.agents):
        reasoned(shipped, agent.spec.limits.model_dump(), f"agents[{at}].spec.limits")
        reasoned(shipped, agent.spec.flink_configuration, f"agents[{at}].spec.flink_configuration")
        told: dict[str, Any] = stack[f"{PREFIX}AgentJob {agent.name}-job"]["inputs"]["spec"]
        assert told == without_nothing(complete(agent, files).model_dump(mode="json"))
        added = set(told["flink_configuration"]) - set(agent.spec.flink_configuration)
        assert added == OF_THIS_MACHINE["agent"]
        planned = without_nothing(agent.spec.model_dump(mode="json"))
        assert {key for key in planned if planned[key] != told[key]} == {"code", "flink_configuration"}


def test_buckets(stack: Registered, shipped: StackPlan) -> None:
    made = {key.split()[1] for key in stack if f"{PREFIX}Bucket " in key}
    assert made == {bucket.name for bucket in shipped.state_storage.buckets}


def test_what_the_plan_leaves_out_has_no_second_author(
    shipped: StackPlan, files: StackFiles, runtimes: Runtimes
) -> None:
    less = {key: value for key, value in shipped.flink.configuration.items() if key != "heartbeat.timeout"}
    flink = shipped.flink.model_copy(update={"configuration": less})
    lacking = shipped.model_copy(update={"flink": flink})
    configured = written(
        registered(lambda: LocalStack(lacking, files, runtimes, fit_of(lacking))), "jobmanager", "config.yaml"
    )
    assert set(shipped.flink.configuration) - set(configured) == {"heartbeat.timeout"}
