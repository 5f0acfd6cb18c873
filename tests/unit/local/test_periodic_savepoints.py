"""When a periodic savepoint is due, and which go: over Flink's REST interface and S3 as they answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

from headrace.local.periodic_savepoints import PAUSE_AFTER_FAILURE, Rounds
from headrace.local.savepoint_schedule import Schedule

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
METADATA = (Path(__file__).parents[1] / "state" / "golden" / "savepoint.metadata").read_bytes()
INTERVAL, SETTLE = timedelta(hours=1), timedelta(minutes=10)
AGENT, JOB = "triage", "0" * 32


class World(ThreadingHTTPServer):
    """Flink with one job, and an object store; a savepoint becomes an object at once."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.objects: dict[str, datetime] = {}
        self.tasks = "RUNNING"
        self.fails = False
        self.made = 0
        self.now = NOW

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def savepoint(self, age: timedelta, name: str = "") -> str:
        self.made += 1
        folder = f"savepoints/_periodic/{AGENT}/savepoint-000000-{self.made:012x}"
        self.objects[f"{folder}/{name or '_metadata'}"] = self.now - age
        return f"s3://{folder}"


class _Answers(BaseHTTPRequestHandler):
    server: World

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/jobs/overview":
            self._say({"jobs": [{"jid": JOB, "name": AGENT, "state": "RUNNING", "start-time": 1}]})
        elif url.path == f"/jobs/{JOB}":
            tasks = {"RUNNING": 0, self.server.tasks: 2}
            self._say({"state": "RUNNING", "vertices": [{"parallelism": 2, "tasks": tasks}]})
        elif "/savepoints/" in url.path and url.path.startswith("/jobs"):
            made: dict[str, object] = {"failure-cause": {"stack-trace": "no room"}}
            if not self.server.fails:
                made = {"location": self.server.savepoint(timedelta())}
            self._say({"status": {"id": "COMPLETED"}, "operation": made})
        elif url.path in ("/checkpoints", "/savepoints"):
            self._list(url.path[1:], parse_qs(url.query).get("prefix", [""])[0])
        else:
            self._send(200, METADATA)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert body["target-directory"] == f"s3://savepoints/_periodic/{AGENT}"
        self._say({"request-id": "1"})

    def do_DELETE(self) -> None:
        del self.server.objects[self.path[1:]]
        self._send(204, b"")

    def _list(self, bucket: str, prefix: str) -> None:
        contents = "".join(
            f"<Contents><Key>{key.partition('/')[2]}</Key><Size>1</Size>"
            f"<LastModified>{modified.isoformat()}</LastModified></Contents>"
            for key, modified in sorted(self.server.objects.items())
            if key.startswith(f"{bucket}/{prefix}")
        )
        namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
        self._send(200, f'<ListBucketResult xmlns="{namespace}">{contents}</ListBucketResult>'.encode())

    def _say(self, content: object) -> None:
        self._send(200, json.dumps(content).encode())

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made:
        thread = Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def rounds(world: World) -> Rounds:
    return Rounds(
        Schedule(
            flink_endpoint=world.url,
            object_store_endpoint=world.url,
            agents=(AGENT,),
            interval_s=INTERVAL.total_seconds(),
            history_count=2,
            history_age_s=timedelta(days=1).total_seconds(),
            settle_s=SETTLE.total_seconds(),
        )
    )


def test_one_is_made_where_there_is_none_and_the_next_after_the_interval(
    world: World, rounds: Rounds
) -> None:
    (said,) = rounds.look(NOW)
    assert "triage: made s3://savepoints/_periodic/triage/" in said
    assert list(rounds.look(NOW + INTERVAL - timedelta(seconds=1))) == []
    assert len(list(rounds.look(NOW + INTERVAL))) == 1
    assert world.made == 2


def test_one_that_an_earlier_process_made_counts(world: World, rounds: Rounds) -> None:
    world.savepoint(timedelta(minutes=30))
    assert list(rounds.look(NOW)) == []


def test_a_job_whose_tasks_do_not_all_run_is_waited_for(world: World, rounds: Rounds) -> None:
    world.tasks = "INITIALIZING"
    assert list(rounds.look(NOW)) == []
    world.tasks = "RUNNING"
    assert len(list(rounds.look(NOW))) == 1


def test_a_failure_is_said_and_tried_again_later(world: World, rounds: Rounds) -> None:
    world.fails = True
    (said,) = rounds.look(NOW)
    assert "no room" in said
    world.fails = False
    assert list(rounds.look(NOW + timedelta(seconds=5))) == []
    assert len(list(rounds.look(NOW + PAUSE_AFTER_FAILURE))) == 1


def test_those_past_the_history_are_removed_and_nothing_else(world: World, rounds: Rounds) -> None:
    incomplete = world.savepoint(timedelta(hours=9), "half")
    past = [world.savepoint(timedelta(hours=hours)) for hours in (3, 4)]
    kept = world.savepoint(timedelta(hours=2))
    said = "\n".join(rounds.look(NOW))
    assert all(
        f"removed {folder}: 2 newer savepoints" in said or f"removed {folder}: 3" in said for folder in past
    )
    left = {f"s3://{key.rpartition('/')[0]}" for key in world.objects}
    assert left == {incomplete, kept, f"s3://savepoints/_periodic/{AGENT}/savepoint-000000-{world.made:012x}"}


def test_none_is_removed_while_an_unknown_jobs_state_is_there(world: World, rounds: Rounds) -> None:
    world.objects[f"checkpoints/stranger/{JOB}/chk-1/x"] = NOW - timedelta(days=1)
    for hours in (2, 3, 4):
        world.savepoint(timedelta(hours=hours))
    made, refused = rounds.look(NOW)
    assert "made" in made
    assert "stranger, job" in refused
    assert len(world.objects) == 5
