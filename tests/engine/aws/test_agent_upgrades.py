"""Upgrades of an agent through the real engine, the real provider and a real API server.

Stand-ins play the operator with the job, the node that runs the pods of upgrades, and the brokers. The pods
run the agents' own program against these brokers; what a verification finds is a script.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from headrace.provider.aws.agents.deployment import API_VERSION, KIND, job_spec_of
from headrace.provider.aws.agents.history import KEY, LABEL
from headrace.provider.aws.agents.place import PROOF_OF
from headrace.upgrades.record import Upgrade
from headrace.waiting import wait_until
from headrace_agents.describing import manifest_of
from headrace_agents.manifest import Manifest
from headrace_agents.records import Outcome
from headrace_agents.topics import Broker, read_topic
from headrace_agents.verification import Example, Finding, Report
from headrace_agents.verify_command import FAILURES, PROVEN
from tests.components.aws.planned import planned
from tests.engine.aws.cluster import kubeconfig_of
from tests.engine.aws.project import Done, Project
from tests.engine.aws.stage import made_before
from tests.engine.aws.test_alone import PROGRAM
from tests.pipeline.sizes import in_make_engine_alone
from tests.pipeline.stack import HEADRACE, ROOT
from tests.standins.flink.broker import mock_broker
from tests.standins.flink.job import Behaviour
from tests.standins.flink.operator import Operator, operating
from tests.standins.kubernetes.api import Api, of
from tests.standins.kubernetes.definitions import of_operator
from tests.standins.kubernetes.kubelet import Kubelet, node
from tests.standins.place import Place

AGENT, SPACE = "support-triage", "flink"
FIRST, GOOD, DEAD, UNREADABLE, STUCK, MISSING = (f"sha256:{each * 64}" for each in "123456")
"""Images: of what becomes of their versions. One whose job never starts, and one that nobody can pull."""
BEHAVIOURS = {DEAD: Behaviour(dead_letters=True), STUCK: Behaviour(starts=False)}
UPGRADE = "headrace-aws:index:AgentUpgrade own"
DEPLOYMENT = "kubernetes:flink.apache.org/v1beta1:FlinkDeployment own"
KEYS = ("customer-7", "customer-12")
MANIFEST = manifest_of(planned(kafka="standard").agents[0].spec.entry_point)
LATER = MANIFEST.model_copy(
    update={"memory": MANIFEST.memory.model_copy(update={"version": MANIFEST.memory.version + 1})}
)
STEP_S = 120


class Scene:
    """An agent that is deployed, and what plays its cluster."""

    def __init__(self, project: Project, api: Api, given: Mapping[str, Any]) -> None:
        self.project, self._api, self._given = project, api, given
        self.operator: Operator
        self.node: Kubelet

    def declare(self, image: str, manifest: Manifest | None = None, **agent: Any) -> None:
        declared: dict[str, Any] = {"image": image, "agent": {"healthy_for_ms": 3000, **agent}}
        if manifest is not None:
            declared["manifest"] = manifest.model_dump(mode="json")
        file = self.project.folder / "program" / "given.json"
        file.write_text(json.dumps({**self._given, **declared}), encoding="utf-8")

    def up(self, image: str, *, manifest: Manifest | None = None, check: bool = True) -> Done:
        self.declare(image, manifest)
        return self.project.pulumi("up", "--yes", "--skip-preview", check=check)

    def preview(self, image: str) -> dict[str, str]:
        self.declare(image)
        return self.project.preview()

    def spec(self) -> dict[str, Any]:
        found = self._api.get(of(KIND, AGENT, API_VERSION, SPACE))
        assert found is not None
        spec: dict[str, Any] = found["spec"]
        return spec

    def upgrades(self) -> list[Upgrade]:
        found = [
            Upgrade.model_validate_json(each["data"][KEY])
            for each in self._api.all("v1", "ConfigMap")
            if each["metadata"].get("labels", {}).get(LABEL) == AGENT
        ]
        return sorted(found, key=lambda each: each.started_at_ms)

    def flink(self, path: str) -> dict[str, Any] | None:
        """What the job's Flink says, where there is a job."""
        return None if self.operator.job is None else self.operator.job.flink(path)

    def steps(self) -> list[str]:
        """What pods were asked, one after the other."""
        return ["verify" if "verify" in each else each[-1] for each in self.node.commands]

    def proofs(self) -> list[dict[str, Any]]:
        return list(self._api.all(API_VERSION, "FlinkStateSnapshot"))

    def leave_a_proof(self) -> None:
        """As an upgrade does that is killed while it proves."""
        left = of("FlinkStateSnapshot", f"{AGENT}-proof-1", API_VERSION, SPACE)
        left["metadata"]["labels"] = {PROOF_OF: AGENT}
        savepoint = {"path": "s3://own-savepoints/_proofs", "formatType": "NATIVE", "disposeOnDelete": True}
        left["spec"] = {"jobReference": {"kind": KIND, "name": AGENT}, "savepoint": savepoint}
        self._api.apply(left)
        assert len(self.proofs()) == 1

    def told_by_headrace(self) -> list[dict[str, Any]]:
        """What `headrace upgrades list` has."""
        kubeconfig = self.project.folder / "kubeconfig"
        kubeconfig.write_text(self._given["kubeconfig"])
        command = [str(ROOT / HEADRACE), "upgrades", "list", AGENT, "--stack", "dev"]
        done = subprocess.run(
            [*command, "--kubeconfig", str(kubeconfig), "--json"],
            cwd=ROOT,
            env=self.project.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return list(json.loads(done.stdout))

    def decided(self) -> Counter[int]:
        """How often each event has an outcome."""
        spec = job_spec_of(self.spec())
        records = read_topic(Broker(spec.kafka.bootstrap_servers), spec.outputs.outcomes)
        return Counter(Outcome.model_validate_json(each.value or b"").offset for each in records)


@pytest.fixture
def scene(cluster_place: Place, api: Api, tmp_path: Path) -> Iterator[Scene]:
    made = made_before(cluster_place, tmp_path / "no.zip", "cluster")["cluster"]
    api.apply(_restricted(SPACE))
    for definition in of_operator():
        api.define(definition)
    project = Project(tmp_path / "project", cluster_place, "own")
    shutil.copytree(PROGRAM, project.folder / "program")
    with ExitStack() as stack:
        given = {
            "component": "FlinkApplication",
            "kafka": "standard",
            "cluster": made.id,
            "clusterArn": made.state["arn"],
            "brokers": "arn:aws:kafka:eu-central-1:123456789012:cluster/own/1",
            "bootstrap": stack.enter_context(mock_broker(*_topics())),
            "kubeconfig": kubeconfig_of(made),
        }
        found = Scene(project, api, given)
        found.declare(FIRST, LATER)
        project.start("program")
        found.operator = stack.enter_context(operating(cluster_place, BEHAVIOURS))
        found.node = stack.enter_context(
            node(
                cluster_place,
                tmp_path / "node",
                found.flink,
                _verified,
                lambda image: image.endswith(MISSING),
            )
        )
        found.up(FIRST, manifest=LATER)
        yield found
        project.destroy()


def test_a_version_is_proved_and_watched_and_a_bad_one_is_undone_with_every_event_decided_once(
    scene: Scene,
) -> None:
    assert scene.steps() == []
    assert scene.preview(FIRST) == {}

    # A version that can't read the state does not touch the deployment.
    before = scene.spec()
    refused = scene.up(UNREADABLE, check=False)
    assert refused.status != 0
    assert all(key in refused.output for key in KEYS)
    assert scene.spec() == before
    assert scene.upgrades()[-1].outcome == "refused"

    # Where its manifest tells of it, the preview does.
    scene.declare(UNREADABLE, MANIFEST)
    foretold = scene.project.pulumi("preview", check=False)
    assert foretold.status != 0
    assert "memories of a later version are there, which this code can't read" in foretold.output

    # Nor does an image that nobody can pull.
    missing = scene.up(MISSING, check=False)
    assert "ImagePullBackOff" in missing.output
    assert scene.spec() == before
    assert scene.operator.starts == [(_image(FIRST), None)]

    scene.leave_a_proof()
    scene.up(GOOD)
    assert scene.proofs() == []
    upgraded = scene.upgrades()[-1]
    assert upgraded.outcome == "upgraded"
    assert upgraded.proof is not None
    assert upgraded.cutover is not None
    assert scene.operator.starts[-1] == (_image(GOOD), upgraded.cutover.snapshot)
    assert scene.preview(GOOD) == {}

    undone = scene.up(DEAD, check=False)
    assert undone.status != 0
    assert "became dead letters" in undone.output
    rolled_back = scene.upgrades()[-1]
    assert rolled_back.outcome == "rolled_back"
    assert rolled_back.cutover is not None
    assert rolled_back.caught_up is not None
    assert rolled_back.caught_up.decided >= 5
    assert rolled_back.caught_up.unreported == 0
    # The earlier version runs, from the cutover, and the next command would try again.
    assert scene.operator.starts[-2:] == [
        (_image(each), rolled_back.cutover.snapshot) for each in (DEAD, GOOD)
    ]
    assert scene.spec()["image"] == _image(GOOD)
    assert scene.preview(DEAD) == {UPGRADE: "update", DEPLOYMENT: "update"}
    assert scene.preview(GOOD) == {}
    assert_decided_once(scene.decided())

    # A person's command tells the same, of the stack that is declared.
    told = scene.told_by_headrace()
    assert [each["outcome"] for each in told] == ["rolled_back", "upgraded", "refused"]
    assert [each["id"] for each in told] == [each.id for each in reversed(scene.upgrades())]


@in_make_engine_alone("an upgrade on AWS that is killed amid its watch")
def test_an_upgrade_killed_amid_its_watch_is_taken_up_by_the_next_command(scene: Scene) -> None:
    scene.declare(GOOD, healthy_for_ms=20_000)
    running = subprocess.Popen(
        ["pulumi", "--non-interactive", "up", "--yes", "--skip-preview", "--stack", "own"],
        cwd=scene.project.folder,
        env=scene.project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until("the watch", lambda: any(each.phase == "watching" for each in scene.upgrades()), STEP_S)
    started = psutil.Process(running.pid).children(recursive=True)
    (provider,) = (each for each in started if "pulumi-resource-headrace-aws" in " ".join(each.cmdline()))
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    # A provider is in a group of its own, and two that watch would be in each other's way.
    provider.wait(STEP_S)
    starts = list(scene.operator.starts)

    # The engine's lock is a file that nobody removed.
    scene.project.pulumi("cancel", "--yes")
    done = scene.up(GOOD)
    assert "which was interrupted while watching" in done.output
    (taken_up,) = scene.upgrades()
    assert taken_up.outcome == "upgraded"
    assert scene.operator.starts == starts, "it was not cut over again"
    assert scene.preview(GOOD) == {}
    assert_decided_once(scene.decided())


def assert_decided_once(decided: Counter[int]) -> None:
    """Each event, from the first to the last."""
    assert sorted(decided) == list(range(max(decided) + 1))
    assert set(decided.values()) == {1}


def _topics() -> list[str]:
    spec = planned(kafka="standard").agents[0].spec
    inputs = (each.topic for each in spec.inputs)
    return [*inputs, *spec.outputs.all, spec.journal.topic, spec.feedback.control]


def _image(digest: str) -> str:
    return f"registry.example/agents@{digest}"


def _verified(image: str) -> tuple[int, str]:
    """By a script: which images can read the state."""
    bad = image.endswith(UNREADABLE)
    examples = tuple(Example(shard=1, key=key) for key in KEYS)
    failures = (Finding(kind="memory", reason="no field `plan`", total=2, examples=examples),) if bad else ()
    report = Report(agent=AGENT, failures=failures)
    return FAILURES if bad else PROVEN, f"Flink says this and that\n{report.model_dump_json(indent=2)}\n"


def _restricted(space: str) -> dict[str, Any]:
    """As the component makes it: what its pods may not be, the API server refuses."""
    made = of("Namespace", space)
    made["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": "restricted"}
    return made
