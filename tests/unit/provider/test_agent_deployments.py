"""What an upgrade makes of a `FlinkDeployment`'s specification, and what it takes from a pod's log."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.provider.aws.agents.deployment import digest_of, job_spec_of, running, suspended
from headrace.provider.aws.agents.pods import _answer, _refuse_stuck
from headrace_agents.upgrades.answers import ANSWER, ERROR

SPEC: dict[str, Any] = {
    "image": "registry.example/agents@sha256:1",
    "jobManager": {"resource": {"cpu": 1.0}},
    "job": {"parallelism": 2, "state": "running", "upgradeMode": "savepoint"},
}


def test_how_a_version_was_started_or_stopped_does_not_make_it_another() -> None:
    digest = digest_of(SPEC)
    assert digest_of(running(SPEC, "s3://savepoints/one", 1)) == digest
    assert digest_of(suspended(SPEC, "stateless")) == digest
    # The API server writes a whole number its own way.
    assert digest_of(json.loads(json.dumps(SPEC).replace("1.0", "1"))) == digest
    assert digest_of({**SPEC, "image": "registry.example/agents@sha256:2"}) != digest
    assert digest_of({**SPEC, "job": {**SPEC["job"], "parallelism": 3}}) != digest


def test_a_start_names_its_snapshot_and_one_without_forgets_an_earlier_one() -> None:
    started = running(suspended(SPEC, "savepoint"), "s3://savepoints/one", 7)
    assert started["job"] == {
        **SPEC["job"],
        "initialSavepointPath": "s3://savepoints/one",
        "savepointRedeployNonce": 7,
    }
    assert running(started, None, 8)["job"] == SPEC["job"]


def test_a_deployment_of_somebody_elses_is_told() -> None:
    with pytest.raises(ValueError, match=r"headrace\.dev/job"):
        job_spec_of(SPEC)


def test_the_latest_answer_is_taken_whatever_else_a_client_says() -> None:
    lines = [
        ("1", json.dumps({ANSWER: 1})),
        ("2", "%4|a client's word"),
        ("3", json.dumps({ANSWER: {"backlog": 2}})),
        ("4", "17"),
    ]
    assert _answer("a-job", lines) == ("3", {"backlog": 2})


@pytest.mark.parametrize(
    ("said", "told"),
    [(json.dumps({ERROR: "no topic a"}), "no topic a"), ("Killed", "gave no answer:\nKilled")],
)
def test_why_there_is_no_answer_is_told(said: str, told: str) -> None:
    with pytest.raises(HeadraceError, match=told):
        _answer("a-job", [("1", said)])


def test_a_pod_that_never_starts_is_told_with_its_image() -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "not found"}
    container = {"image": "registry.example/agents@sha256:1", "state": {"waiting": waiting}}
    with pytest.raises(HeadraceError, match=r"ImagePullBackOff not found \(image registry"):
        _refuse_stuck("a-job", {"status": {"containerStatuses": [container]}})
    _refuse_stuck("a-job", {"status": {"containerStatuses": [{"state": {"running": {}}}]}})
    _refuse_stuck("a-job", {})
