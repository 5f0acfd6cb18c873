"""What a preview says of agents' new versions, by the real engine and the real provider.

Flink's JobManager is a stand-in that serves running jobs: nothing here stops or starts one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from headrace.environment import load_environment
from headrace.operations.engine import EngineFailed
from headrace.plan import plan
from headrace_agents.describing import manifest_of
from headrace_agents.manifest import Manifest
from headrace_agents.shapes import shape_of
from headrace_agents.spec import DIGEST_PARAMETER, AgentJobSpec
from support_triage.agent import CustomerMemory
from tests.engine.project import Project
from tests.unit.environment.declarations import SHIPPED


class OtherMemory(CustomerMemory):
    tickets_seen: str = ""  # type: ignore[assignment]  # a changed type


SPEC = plan(load_environment(SHIPPED)).agents[0].spec
MANIFEST = manifest_of(SPEC.entry_point).model_copy(update={"flink_version": "2.3.0"})


class Jobs:
    """The jobs that the stand-in serves, by name."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.digests: dict[str, str] = {}

    def answer(self, path: str) -> Any:
        if path == "/jobs/overview":
            running = [
                {"jid": name, "name": name, "state": "RUNNING", "start-time": 0} for name in self.digests
            ]
            return {"jobs": running}
        name = path.split("/")[2]
        if path.endswith("/config"):
            return {"execution-config": {"user-config": {DIGEST_PARAMETER: self.digests[name]}}}
        return {"state": "RUNNING", "vertices": [{"id": "1", "tasks": {"RUNNING": 1}, "parallelism": 1}]}


@contextmanager
def jobmanager() -> Iterator[Jobs]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(served.answer(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = Jobs(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    with jobmanager() as found:
        yield found


def job(project: Project, jobs: Jobs, spec: AgentJobSpec, manifest: Manifest | None = MANIFEST) -> Any:
    return "AgentJob", {
        "root": str(project.files.root),
        "flink_endpoint": jobs.address,
        "object_store_endpoint": jobs.address,
        "spec": spec.model_dump(mode="json"),
        "manifest": "" if manifest is None else manifest.canonical(),
        "command": [],
        "client_files": {},
        "packages": {},
        "healthy_for_s": 1,
        "environment": {},
    }


def roster(*declared: str, removed: tuple[str, ...] = ()) -> Any:
    return "Roster", {"declared": list(declared), "removed": list(removed)}


def brought_up(project: Project, jobs: Jobs, manifest: Manifest | None = MANIFEST) -> None:
    jobs.digests[SPEC.name] = SPEC.digest()
    project.declare(triage=job(project, jobs, SPEC, manifest), agents=roster(SPEC.name))
    project.engine.up()


def previewed(project: Project, capfd: pytest.CaptureFixture[str]) -> str:
    capfd.readouterr()
    project.engine.preview()
    return "".join(capfd.readouterr())


def refused(project: Project, capfd: pytest.CaptureFixture[str]) -> str:
    capfd.readouterr()
    with pytest.raises(EngineFailed):
        project.engine.preview()
    previewed = "".join(capfd.readouterr())
    with pytest.raises(EngineFailed):
        project.engine.up()
    assert "Nothing was changed" in "".join(capfd.readouterr())
    return previewed


def test_a_preview_says_what_a_change_leads_to_and_why(
    project: Project, jobs: Jobs, capfd: pytest.CaptureFixture[str]
) -> None:
    brought_up(project, jobs)
    said = previewed(project, capfd)
    assert "unchanged" in said
    assert "agent support-triage" not in said

    more = MANIFEST.model_copy(update={"code": "other", "python_code": "other"})
    changed = SPEC.model_copy(update={"code": "other", "settings": {"escalate_every": 4}})
    project.declare(triage=job(project, jobs, changed, more), agents=roster(SPEC.name))
    said = previewed(project, capfd)
    assert "1 to update" in said
    assert "agent support-triage is stopped with a savepoint, and goes on from it with its state" in said
    assert "settings: escalate_every: a setting that the declaration changes restarts the job" in said
    assert "runs in flight go on with it: steps that are the same are read back" in said
    assert "manifest" not in said


def test_memory_that_could_not_be_read_is_refused_in_a_preview_and_before_an_up_changes_it(
    project: Project, jobs: Jobs, capfd: pytest.CaptureFixture[str]
) -> None:
    brought_up(project, jobs)
    memory = MANIFEST.memory.model_copy(update={"shape": shape_of(OtherMemory)})
    other = MANIFEST.model_copy(update={"memory": memory, "code": "other", "python_code": "other"})
    changed = SPEC.model_copy(update={"code": "other"})
    project.declare(triage=job(project, jobs, changed, other), agents=roster(SPEC.name))
    said = refused(project, capfd)
    assert "agent support-triage can't go on with its state, so this is refused" in said
    assert "memory.tickets_seen: what was kept can't be read: integer was written, string is read" in said
    assert "Raise memory_version and add `@migrates(1)`" in said


def test_another_flink_is_refused_while_the_cluster_runs(
    project: Project, jobs: Jobs, capfd: pytest.CaptureFixture[str]
) -> None:
    brought_up(project, jobs)
    later = MANIFEST.model_copy(update={"flink_version": "2.99.0"})
    project.declare(triage=job(project, jobs, SPEC, later), agents=roster(SPEC.name))
    said = refused(project, capfd)
    assert "runs on Flink 2.3.0, and Flink 2.99.0 is installed" in said
    assert "Run `headrace down`, which stops each job with a savepoint, and `up`" in said


def test_shards_are_refused_without_a_manifest_too(
    project: Project, jobs: Jobs, capfd: pytest.CaptureFixture[str]
) -> None:
    brought_up(project, jobs, manifest=None)
    changed = SPEC.model_copy(update={"shards": 64})
    project.declare(triage=job(project, jobs, changed), agents=roster(SPEC.name))
    assert "shards (128 -> 64): state is kept per shard" in refused(project, capfd)


def test_a_manifest_alone_is_recorded_and_is_no_change(
    project: Project, jobs: Jobs, capfd: pytest.CaptureFixture[str]
) -> None:
    brought_up(project, jobs, manifest=None)
    project.declare(triage=job(project, jobs, SPEC), agents=roster(SPEC.name))
    assert "unchanged" in previewed(project, capfd)
    project.engine.up()
    project.engine.up()
    resources = project.engine.export()["deployment"]["resources"]
    (recorded,) = [each["outputs"] for each in resources if each["type"].endswith(":AgentJob")]
    assert Manifest.model_validate_json(recorded["manifest"]) == MANIFEST


def test_an_agent_goes_with_a_word_in_the_declaration_alone(
    project: Project, jobs: Jobs, capfd: pytest.CaptureFixture[str]
) -> None:
    jobs.digests[SPEC.name] = SPEC.digest()
    project.declare(triage=job(project, jobs, SPEC), agents=roster(SPEC.name, "order-risk"))
    project.engine.up()
    project.declare(triage=job(project, jobs, SPEC), agents=roster(SPEC.name))
    said = refused(project, capfd)
    assert "agents that ran are no longer declared: order-risk" in said
    assert "`agents_removed: [order-risk]`" in said

    project.declare(triage=job(project, jobs, SPEC), agents=roster(SPEC.name, removed=("order-risk",)))
    assert "agent order-risk: its job is stopped with a savepoint" in previewed(project, capfd)
    project.engine.up()
    assert "unchanged" in previewed(project, capfd)
