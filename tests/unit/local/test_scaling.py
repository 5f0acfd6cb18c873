"""What the process that scales sees and does, over Flink's REST interface and metrics as they answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest

from headrace.environment import load_environment
from headrace.local.files import StackFiles
from headrace.local.scaling.__main__ import Looks
from headrace.local.scaling.load import Load
from headrace.local.scaling.orders import Bounds, Orders, bounds
from headrace.local.scaling.standing import Standings, read, write
from headrace.plan import plan
from tests.unit.environment.declarations import SHIPPED, parsed, shipped

AGENT, JOB, VERTICES = "triage", "0" * 32, ("source", "agent")
TIMES = plan(load_environment(SHIPPED)).scaling
OBSERVE_S, COOLDOWN_S = TIMES.observe_ms / 1000, TIMES.cooldown_ms / 1000
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
SAMPLE = (
    'flink_taskmanager_job_task_{name}{{job_name="{job}",task_name="{task}",{operator}'
    'subtask_index="{at}",}} {value}'
)


class World(ThreadingHTTPServer):
    """Flink with one job and so many TaskManagers, which is also what has the metrics pages."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.running = self.wanted = 1
        self.taskmanagers = {"taskmanager-1": 2}
        """Slots by id."""
        self.started: list[str] = []
        self.stopped: list[str] = []
        self.settled = self.processor_ms = self.limited = 0.0
        self.inbox = 0
        self.waiting = 0

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def goes_on(self, seconds: float, *, settled: float, busy: float, limited: float = 0) -> None:
        """Rates a second, of each subtask for ``busy``."""
        self.settled += settled * seconds
        self.processor_ms += busy * 1_000 * seconds
        self.limited += limited * seconds

    def page(self) -> str:
        said: dict[str, float] = {
            "events_settled": self.settled / self.running,
            "processor_ms": self.processor_ms,
            "calls_limited": self.limited / self.running,
            "calls_answered": 0,
            "tokens_input": 40 * self.settled / self.running,
            "tokens_output": 10 * self.settled / self.running,
            "inbox_events": self.inbox / self.running,
            "runs_waiting": self.waiting,
            "concurrency_limit": 30,
            "calls_in_flight": 12,
        }
        lines = [
            SAMPLE.format(
                name=f"operator_headrace_{name}",
                job=AGENT,
                task=AGENT,
                operator=f'operator_name="{AGENT}",',
                at=at,
                value=value,
            )
            for at in range(self.running)
            for name, value in said.items()
        ]  # fmt: skip
        in_kafka = SAMPLE.format(
            name="operator_pendingRecords",
            job=AGENT,
            task="s",
            operator='operator_name="s",',
            at=0,
            value=7.0,
        )
        busy = [
            SAMPLE.format(name="busyTimeMsPerSecond", job=AGENT, task=task, operator="", at=0, value=value)
            for task, value in (("s", 100.0), (AGENT, 1_000.0), ("idle", "NaN"))
        ]
        return "\n".join([*lines, in_kafka, *busy]) + "\n"


class _Answers(BaseHTTPRequestHandler):
    server: World

    def do_GET(self) -> None:
        world = self.server
        if self.path == "/metrics":
            self._send(world.page().encode())
        elif self.path == "/jobs/overview":
            self._say({"jobs": [{"jid": JOB, "name": AGENT, "state": "RUNNING", "start-time": 1}]})
        elif self.path == f"/jobs/{JOB}":
            running = {"parallelism": world.running, "tasks": {"RUNNING": world.running}}
            vertices = [running for _ in VERTICES]
            self._say({"state": "RUNNING", "vertices": vertices})
        elif self.path == f"/jobs/{JOB}/resource-requirements":
            wanted = {"parallelism": {"lowerBound": 1, "upperBound": world.wanted}}
            self._say(dict.fromkeys(VERTICES, wanted))
        elif self.path == "/taskmanagers":
            free = sum(world.taskmanagers.values()) - world.running
            found = []
            for name, slots in reversed(world.taskmanagers.items()):
                found.append({"id": name, "slotsNumber": slots, "freeSlots": min(free, slots)})
                free -= min(free, slots)
            self._say({"taskmanagers": found})
        else:
            self.send_error(404)

    def do_PUT(self) -> None:
        """The adaptive scheduler restarts the tasks with what is wanted, as far as there are slots."""
        world = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert set(body) == set(VERTICES)
        (wanted,) = {each["parallelism"]["upperBound"] for each in body.values()}
        world.wanted = wanted
        world.running = min(wanted, sum(world.taskmanagers.values()))
        self._say({})

    def _say(self, content: Any) -> None:
        self._send(json.dumps(content).encode())

    def _send(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


class Programs:
    """The supervisor's, as far as TaskManagers go; a started one registers at once."""

    def __init__(self, world: World) -> None:
        self.world = world

    def status(self, name: str) -> str:
        return "running" if name in self.world.taskmanagers else "stopped"

    def ensure_started(self, name: str) -> None:
        self.world.started.append(name)
        self.world.taskmanagers[name] = 2

    def stop(self, name: str) -> None:
        self.world.stopped.append(name)
        del self.world.taskmanagers[name]


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made:
        thread = Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def told(world: World, tmp_path: Path) -> Orders:
    return Orders(
        root=str(tmp_path),
        flink_endpoint=world.url,
        metrics_ports=(world.port, 1),
        agents=(
            Bounds(
                agent=AGENT,
                least=1,
                most=4,
                normal_lag_events=250,
                calls_most=256,
                requests_per_minute=None,
                tokens_per_minute=None,
            ),
        ),
        times=TIMES,
        taskmanagers=1,
        slots=2,
        taskmanager_mib=1,
    )


def looks_at(told: Orders, world: World, monkeypatch: pytest.MonkeyPatch) -> Looks:
    monkeypatch.setattr("headrace.local.scaling.taskmanagers.Supervisor", lambda files: Programs(world))
    return Looks(told)


def looking(
    looks: Looks, world: World, start: float, count: int, *, settled: float, busy: float, limited: float = 0
) -> list[str]:
    """What was said at so many looks, with the same load in between."""
    said: list[str] = []
    for number in range(count):
        said += looks.look(start + OBSERVE_S * number)
        world.goes_on(OBSERVE_S, settled=settled, busy=busy, limited=limited)
    return said


def test_a_spike_has_more_subtasks_and_their_taskmanager_and_quiet_takes_both_back(
    told: Orders, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = looks_at(told, world, monkeypatch)
    world.inbox = 20_000
    said = looking(looks, world, NOW, 6, settled=400, busy=0.95)
    assert world.running == 3
    assert world.started == ["taskmanager-2"]
    assert any("taskmanager-2 was started: 3 subtasks" in line for line in said)
    assert any("rescaled from 1 to 3" in line and "12 calls of the model" in line for line in said)
    (standing,) = read(StackFiles(Path(told.root)).scaling).agents
    assert standing.last is not None
    assert (standing.last.before, standing.last.after, standing.last.repeated_calls) == (1, 3, 12)

    world.inbox = 0
    later = standing.last.at.timestamp()
    quiet = int(TIMES.quiet_ms / TIMES.observe_ms) + 3
    looking(looks, world, later, quiet, settled=50, busy=0.05)
    assert world.running == 1
    assert world.stopped == ["taskmanager-2"]


def test_a_limit_of_the_model_changes_nothing_and_the_standing_says_why(
    told: Orders, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = looks_at(told, world, monkeypatch)
    world.inbox, world.waiting = 20_000, 90
    said = looking(looks, world, NOW, 12, settled=20, busy=0.95, limited=5)
    assert (world.running, world.wanted, world.started) == (1, 1, [])
    (standing,) = read(StackFiles(Path(told.root)).scaling).agents
    assert (standing.cause, standing.last) == ("model_limit", None)
    assert "refuses 5.0 for their rate" in standing.reason
    assert len([line for line in said if "model_limit" in line]) == 1


def test_without_memory_for_a_taskmanager_the_slots_there_are_have_to_do(
    told: Orders, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = psutil.virtual_memory().total // 1024**2 + 1
    looks = looks_at(told.model_copy(update={"taskmanager_mib": needed}), world, monkeypatch)
    world.inbox = 20_000
    looking(looks, world, NOW, 6, settled=400, busy=0.95)
    assert (world.running, world.started) == (2, [])
    (standing,) = read(StackFiles(Path(told.root)).scaling).agents
    assert standing.last is not None
    assert f"taskmanager-2 is not started, as it takes {needed} MiB" in standing.last.reason

    looking(looks, world, standing.last.at.timestamp() + COOLDOWN_S, 6, settled=400, busy=0.95)
    (standing,) = read(StackFiles(Path(told.root)).scaling).agents
    assert (standing.cause, world.running) == ("no_slots", 2)


def test_the_cooldown_outlives_the_process(
    told: Orders, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.inbox = 1_000
    looking(looks_at(told, world, monkeypatch), world, NOW, 6, settled=400, busy=0.95)
    assert world.running == 2
    world.inbox = 20_000
    (standing,) = read(StackFiles(Path(told.root)).scaling).agents
    assert standing.last is not None
    again = looks_at(told, world, monkeypatch)
    looking(again, world, standing.last.at.timestamp() + 1, 6, settled=400, busy=0.95)
    (standing,) = read(StackFiles(Path(told.root)).scaling).agents
    assert (standing.cause, world.running) == ("cooling_down", 2)


def test_load_is_what_waits_everywhere_and_rates_since_the_look_before(world: World) -> None:
    load = Load(AGENT)
    world.inbox = 30
    assert load.observe([world.page()], 10.0, JOB, 1, 1) is None
    world.goes_on(4, settled=50, busy=0.25, limited=0.5)
    found = load.observe([world.page()], 14.0, JOB, 1, 1)
    assert found is not None
    assert (found.backlog, found.settled_per_s, found.limited_per_s) == (37, 50, 0.5)
    assert found.tokens_per_s == 50 * 50
    assert found.busy == pytest.approx(0.25)


def test_a_worker_that_was_started_anew_counts_from_nothing(world: World) -> None:
    load = Load(AGENT)
    world.goes_on(100, settled=50, busy=0.5)
    load.observe([world.page()], 10.0, JOB, 1, 1)
    world.settled, world.processor_ms = 40, 400
    found = load.observe([world.page()], 14.0, JOB, 1, 1)
    assert found is not None
    assert found.settled_per_s == 10
    assert found.busy == pytest.approx(0.1)
    assert load.observe([world.page()], 18.0, "another job", 1, 1) is None
    assert load.observe([], 22.0, "another job", 0, 1) is None


def test_a_source_that_is_busy_is_busy_and_waiting_for_the_worker_is_not(world: World) -> None:
    load = Load(AGENT)
    load.observe([world.page()], 10.0, JOB, 1, 1)
    found = load.observe([world.page()], 14.0, JOB, 1, 1)
    assert found is not None
    assert found.busy == pytest.approx(0.1)


def test_no_more_subtasks_than_calls_that_may_be_made() -> None:
    declaration = shipped()
    first = declaration["agents"][0]
    first["model"]["max_concurrency"] = 30
    first["scaling"] = {"parallelism_min": 3, "parallelism_max": 60}
    made = bounds(plan(parsed(declaration)).agents[0])
    assert (made.least, made.most, made.calls_most) == (3, 30, 30)


def test_a_standing_of_another_version_or_none_is_no_standing(tmp_path: Path) -> None:
    path = tmp_path / "run" / "scaling.json"
    assert read(path) == Standings()
    write(path, Standings())
    assert read(path) == Standings()
    path.write_text('{"agents": [{"agent": "triage"}]}')
    assert read(path) == Standings()
