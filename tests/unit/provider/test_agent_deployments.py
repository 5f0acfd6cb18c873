"""What an upgrade makes of a `FlinkDeployment`'s specification, and what it takes from a pod's log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from headrace.errors import HeadraceError
from headrace.provider.aws.agents.cluster import Cluster, Conflict
from headrace.provider.aws.agents.deployment import (
    LAST_STATE_FALLBACK,
    digest_of,
    job_spec_of,
    running,
    suspended,
)
from headrace.provider.aws.agents.history import KEY, ConfigMapHistory
from headrace.provider.aws.agents.inputs import AgentUpgradeInputs
from headrace.provider.aws.agents.place import AgentPlace
from headrace.provider.aws.agents.pods import _answer, _refuse_stuck
from headrace.upgrades.record import Upgrade, Version
from headrace_agents.upgrades.answers import ANSWER, ERROR
from headrace_agents.upgrades.told import CaughtUp

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


def test_a_stop_is_by_a_savepoint_or_none() -> None:
    stopped = suspended(SPEC, "savepoint")
    assert stopped["flinkConfiguration"] == {LAST_STATE_FALLBACK: "false"}
    assert stopped["job"]["state"] == "suspended"


class Written:
    """Of a cluster, its ConfigMaps."""

    def __init__(self) -> None:
        self.data = ""

    def write_config_map(self, name: str, labels: Mapping[str, str], data: Mapping[str, str]) -> None:
        self.data = data[KEY]

    def config_maps(self, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        return [{"data": {KEY: self.data}}]


@pytest.mark.parametrize("events", [3, 20_000])
def test_a_record_fits_into_its_config_map_and_is_read_again(events: int) -> None:
    listed = tuple(f"support.public.tickets/0/{each}: {'ä' * 900}" for each in range(events))
    version = Version(digest="d", code="c", inputs={})
    undone = CaughtUp(decided=events, dead_lettered=0, in_memory=0, not_in_memory=listed)
    upgrade = Upgrade(
        id="a-1", agent="a", by="me", started_at_ms=1, before=version, after=version, caught_up=undone
    )
    written = Written()
    history = ConfigMapHistory(cast("Cluster", written), "a")
    history.write(upgrade)

    assert len(written.data.encode()) < 1 << 20
    (found,) = history.all()
    assert found.caught_up is not None
    told = found.caught_up.not_in_memory
    assert all(known.startswith(each) for each, known in zip(told[:3], listed, strict=False))
    if events > 3:
        assert told[-1] == f"{events - len(told) + 1} more are not listed"


class Moving:
    """Of a cluster, a deployment whose status is written all the time."""

    def __init__(self, conflicts: int, *, is_changed: bool = False) -> None:
        self._conflicts, self._is_changed = conflicts, is_changed
        self.read = 0
        self.written: list[Any] = []

    def deployment(self, _name: str) -> dict[str, Any]:
        self.read += 1
        return {"version": self.read, "spec": {"image": self.read if self._is_changed else 1}}

    def replace_deployment(self, changed: dict[str, Any]) -> None:
        if self.read <= self._conflicts:
            raise Conflict("409")
        self.written.append(changed)


def place_of(cluster: Moving, monkeypatch: pytest.MonkeyPatch) -> AgentPlace:
    inputs = AgentUpgradeInputs(
        agent="a",
        namespace="agents",
        kubeconfig="",
        deployment="{}",
        pod="{}",
        rest_port=8081,
        healthy_for_s=1,
    )
    monkeypatch.setattr("headrace.provider.aws.agents.place.Cluster", lambda *_: cluster)
    return AgentPlace(inputs, lambda _: None)


def test_a_status_that_moves_is_no_reason_not_to_change_a_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Moving(3)
    place_of(cluster, monkeypatch).change({"image": 2})
    assert cluster.written == [{"version": 4, "spec": {"image": 2}}]


def test_a_specification_that_somebody_else_changes_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Moving(1, is_changed=True)
    with pytest.raises(Conflict):
        place_of(cluster, monkeypatch).change({"image": 2})
    assert not cluster.written


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
