"""Failed tasks of Kafka Connect are restarted, further and further apart."""

import json

import httpx

from headrace.local.task_restarter import FORGIVEN_AFTER_S, TaskRestarter


class Worker:
    """Answers as Kafka Connect's REST interface does, with one connector."""

    def __init__(self, connector: str, task: str) -> None:
        self.status = {"connector": {"state": connector}, "tasks": [{"state": task}]}
        self.restarts: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.restarts.append(str(request.url.copy_with(scheme="http", host="x")))
            return httpx.Response(202)
        return httpx.Response(200, content=json.dumps({"source": {"status": self.status}}))


def restarter(worker: Worker) -> TaskRestarter:
    return TaskRestarter(httpx.Client(base_url="http://127.0.0.1", transport=httpx.MockTransport(worker)))


def test_a_failed_task_is_restarted() -> None:
    worker = Worker("RUNNING", "FAILED")
    assert restarter(worker).pass_over(0) == ["source"]
    assert worker.restarts == ["http://x/connectors/source/restart?includeTasks=true&onlyFailed=true"]


def test_what_runs_or_is_paused_is_left_alone() -> None:
    for state in ("RUNNING", "PAUSED", "UNASSIGNED"):
        worker = Worker(state, state)
        assert restarter(worker).pass_over(0) == []
        assert worker.restarts == []


def test_restarts_of_a_task_that_keeps_failing_are_spaced_apart() -> None:
    worker = Worker("RUNNING", "FAILED")
    subject = restarter(worker)
    restarted = [second for second in range(40) if subject.pass_over(second)]
    assert restarted == [0, 1, 3, 7, 15, 31]


def test_a_task_that_ran_long_is_restarted_at_once_again() -> None:
    worker = Worker("RUNNING", "FAILED")
    subject = restarter(worker)
    for second in range(40):
        subject.pass_over(second)
    later = 40 + FORGIVEN_AFTER_S
    assert subject.pass_over(later)
    assert subject.pass_over(later + 1)
