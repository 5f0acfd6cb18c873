"""An agent's `FlinkDeployment`, as AWS is given it, started beside a live stack.

Replaced is what the list of the plan's tests calls of the place: addresses, leaders, buckets; and so the
addresses of the job's specification. No Kubernetes is there: Flink's scripts for processes stand for those of
pods, `standalone-job.sh` for `kubernetes-jobmanager.sh` and `taskmanager.sh` for `kubernetes-taskmanager.sh`,
and ZooKeeper for its leases.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from headrace.aws.flink_deployment import JOBMANAGER, TASKMANAGER
from headrace.environment import Environment
from headrace.local.context import HOST
from headrace.local.flink import LOG4J, METRICS_PORT, storage_options
from headrace.local.flink_rest import FlinkRest, Unreachable
from headrace.local.objects import objects
from headrace.local.processes import end
from headrace.local.provider.topic import TopicInputs, TopicKind
from headrace.plan import plan
from headrace.plan.flink import port_options
from headrace.plan.state_storage import CHECKPOINTS, HIGH_AVAILABILITY, SAVEPOINTS
from headrace.provider.aws.agents.deployment import JOB_ANNOTATION, JOB_FILE, JOB_FOLDER
from headrace.toolchain.runtimes import Runtimes
from headrace_agents.spec import AgentJobSpec
from tests.components.aws.cloud import inputs
from tests.components.aws.managed import managed, shipped
from tests.pipeline.ledger import Topics
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until
from tests.unit.plan.substrate_options import OF_THE_PLACE

ROLES = (JOBMANAGER, TASKMANAGER)
JOB = f"{JOB_FOLDER}/{JOB_FILE}"
"""Where a pod has its job's specification."""
Decision = tuple[str, dict[str, Any]]
"""The kind, and what was decided."""
START_TIMEOUT_S = 300
END_TIMEOUT_S = 20
LOG_TAIL_LINES = 40


@dataclass(frozen=True)
class Ports:
    """Of the deployment's own processes: on this machine both have one address."""

    rest: int
    rpc: int
    blob: int
    taskmanager_rpc: int
    taskmanager_data: int
    jobmanager_metrics: int
    taskmanager_metrics: int

    @classmethod
    def above(cls, base: int) -> Ports:
        return cls(*range(base, base + 7))


@dataclass(frozen=True)
class Deployment:
    """One agent of a shipped environment on AWS, under another name than the stack's own agent has."""

    stack: LiveStack
    environment: str
    agent: str
    ports: Ports

    @property
    def name(self) -> str:
        return f"{self.agent}-deployed"

    @cached_property
    def declared(self) -> Environment:
        """The environment with this agent alone."""
        environment = shipped(self.environment)
        (agent,) = (each for each in environment.agents if each.name == self.agent)
        return environment.model_copy(update={"agents": (agent.model_copy(update={"name": self.name}),)})

    @cached_property
    def spec(self) -> dict[str, Any]:
        """Of the `FlinkDeployment`, as `FlinkApplication` renders it."""
        kind = "kubernetes:flink.apache.org/v1beta1:FlinkDeployment"
        found = inputs(managed(self.declared), kind, f"{self.environment}-{self.name}")
        return dict(found["spec"])

    @cached_property
    def job(self) -> AgentJobSpec:
        """The job's specification: as rendered, but for addresses and what the stack's broker allows."""
        template = self.spec["jobManager"]["podTemplate"]
        told = AgentJobSpec.model_validate_json(template["metadata"]["annotations"][JOB_ANNOTATION])
        broker = {
            "bootstrap_servers": self.stack.bootstrap_servers,
            "client_properties": {},
            # The most that the stack's broker allows, by the stack's own objectives.
            "transaction_timeout_ms": self.stack.plan.agents[0].spec.kafka.transaction_timeout_ms,
        }
        ours = self.stack.plan.agents[0].spec.model
        assert ours is not None
        assert told.model is not None
        model = {"endpoint": f"http://{HOST}:{self.stack.plan.ports.scripted_model}/v1", "name": ours.name}
        options = {key: self.places.get(key, value) for key, value in told.flink_configuration.items()}
        return told.model_copy(
            update={
                "kafka": told.kafka.model_copy(update=broker),
                "journal": told.journal.model_copy(update={"client_properties": {}}),
                "model": told.model.model_copy(update=model),
                "flink_configuration": options,
                # No collector is here.
                "tracing": None,
            }
        )

    @cached_property
    def places(self) -> dict[str, str]:
        """Flink's options in the place of those that are of AWS: the stack's own, and ports of its own."""
        ports, local = self.ports, self.stack.plan.flink.configuration
        return {
            **{option: value for option, value in local.items() if OF_THE_PLACE.fullmatch(option)},
            **port_options(ports.rest, ports.rpc, ports.blob, "the deployment's").value,
            **storage_options(self.name),
            "high-availability.cluster-id": self.name,
            "env.java.opts.all": _opened_modules(),
        }

    def configuration(self, role: str) -> dict[str, str]:
        """What the role's process is given: as rendered, but for places."""
        rendered: dict[str, str] = self.spec["flinkConfiguration"]
        kept = {option: value for option, value in rendered.items() if not OF_THE_PLACE.fullmatch(option)}
        return kept | self.places | self._own(role)

    def _own(self, role: str) -> dict[str, str]:
        if role == JOBMANAGER:
            return {METRICS_PORT: str(self.ports.jobmanager_metrics)}
        return {
            METRICS_PORT: str(self.ports.taskmanager_metrics),
            "taskmanager.rpc.port": str(self.ports.taskmanager_rpc),
            "taskmanager.data.port": str(self.ports.taskmanager_data),
        }

    def files(self, configuration: Mapping[str, str]) -> dict[str, str]:
        """Of Flink's configuration folder."""
        # A JSON string is a YAML string.
        lines = (f"{option}: {json.dumps(value)}\n" for option, value in sorted(configuration.items()))
        return {"config.yaml": "".join(lines), LOG4J: self.spec["logConfiguration"][LOG4J]}

    def command(self, role: str) -> list[str]:
        """Of the role's process; the program is one of Flink's ``bin/``."""
        if role == TASKMANAGER:
            return ["taskmanager.sh", "start-foreground"]
        job = self.spec["job"]
        return ["standalone-job.sh", "start-foreground", "--job-classname", job["entryClass"], *job["args"]]

    @property
    def flink(self) -> FlinkRest:
        return FlinkRest(f"http://{HOST}:{self.ports.rest}")

    def told(self) -> dict[str, str]:
        """The configuration that the JobManager says it runs by."""
        answer = httpx.get(f"{self.flink.endpoint}/jobmanager/config", trust_env=False).raise_for_status()
        return {each["key"]: each["value"] for each in answer.json()}

    @contextmanager
    def running(self, start: Callable[[str], subprocess.Popen[bytes]], logs: Path) -> Iterator[None]:
        """JobManager and TaskManager, started by role, with the agent's topics; nothing stays.

        Each of the started writes to ``ROLE.log`` in `logs`.
        """
        started: dict[str, subprocess.Popen[bytes]] = {}
        self._make_topics()
        try:
            for role in ROLES:
                started[role] = start(role)
            until("the job runs", lambda: self._runs(started, logs), START_TIMEOUT_S, lambda: log_tails(logs))
            yield
        except BaseException:
            print(log_tails(logs))
            raise
        finally:
            for process in started.values():
                _end(process)
            self._remove()

    def _runs(self, started: Mapping[str, subprocess.Popen[bytes]], logs: Path) -> bool:
        ended = [role for role, process in started.items() if process.poll() is not None]
        assert not ended, f"ended by itself: {ended}\n{log_tails(logs)}"
        try:
            jobs = self.flink.jobs(self.name)
            return bool(jobs) and self.flink.all_running(jobs[0].id)
        except Unreachable:
            return False

    def _topics(self) -> list[TopicInputs]:
        """Of the agent alone, as the local plan has them."""
        here = plan(self.declared.model_copy(update={"substrate": self.stack.found.environment.substrate}))
        return [
            TopicInputs(
                bootstrap_servers=self.stack.bootstrap_servers,
                name=topic.name,
                partitions=topic.partitions,
                replication=topic.replication,
                config=topic.config,
            )
            for topic in here.topics
            if topic.name.startswith(f"{self.name}.")
        ]

    def _make_topics(self) -> None:
        for topic in self._topics():
            TopicKind().create(topic)

    def _remove(self) -> None:
        for topic in self._topics():
            TopicKind().delete(topic)
        with objects(f"http://{HOST}:{self.stack.plan.ports.object_store}") as store:
            for bucket in (CHECKPOINTS, SAVEPOINTS, HIGH_AVAILABILITY):
                for stored in store.listed(bucket, f"{self.name}/"):
                    store.delete(stored.path)


@dataclass(frozen=True)
class Decisions:
    """What the stack's own agent and the deployment say of the same events."""

    deployment: Deployment
    topics: Topics

    @classmethod
    @contextmanager
    def of(cls, deployment: Deployment) -> Iterator[Decisions]:
        names = [f"{agent}.decisions" for agent in (deployment.agent, deployment.name)]
        topics = Topics(deployment.stack.bootstrap_servers, names)
        try:
            yield cls(deployment, topics)
        finally:
            topics.close()

    def alike(
        self, key: Mapping[str, Any], count: int, timeout_s: float, own: Collection[str] = ()
    ) -> list[Decision]:
        """Wait for so many of the business key by either agent; returns the deployment's.

        They are the same but for the fields in `own`, which hold what is made of an agent's name.
        """
        ours, theirs = self.deployment.name, self.deployment.agent

        def enough() -> bool:
            self.topics.drain()
            return min(len(self._made(agent, key)) for agent in (ours, theirs)) >= count

        seen = lambda: {agent: self._made(agent, key) for agent in (ours, theirs)}  # noqa: E731
        until(f"{count} decisions of {key}", enough, timeout_s, seen)
        found, expected = self._made(ours, key), self._made(theirs, key)
        assert _without(found, own) == _without(expected, own)
        return found

    def _made(self, agent: str, key: Mapping[str, Any]) -> list[Decision]:
        found = [record.json for record in self.topics.records[f"{agent}.decisions"]]
        return [(made["kind"], made["decision"]) for made in found if made["key"] == key]


def _without(decisions: list[Decision], fields: Collection[str]) -> list[Decision]:
    return [
        (kind, {name: value for name, value in decision.items() if name not in fields})
        for kind, decision in decisions
    ]


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started: Python's workers."""
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid)
        end([*family.children(recursive=True), family])
    process.wait(END_TIMEOUT_S)


def log_tails(folder: Path) -> str:
    ends = {path.name: path.read_text(errors="replace").splitlines() for path in folder.glob("*.log")}
    return "\n".join(f"--- {name}\n" + "\n".join(lines[-LOG_TAIL_LINES:]) for name, lines in ends.items())


def _opened_modules() -> str:
    """Of Java: the distribution's own list, which the operator brings on AWS."""
    shipped = yaml.safe_load((Runtimes.locate().flink / "conf" / "config.yaml").read_text())
    return str(shipped["env"]["java"]["opts"]["all"])
