"""Each component alone, in a tiny program of somebody's own: up, nothing to do, and away again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headrace.aws
from tests.engine.aws.cluster import enforce_policies, kubeconfig_of
from tests.engine.aws.project import Project
from tests.engine.aws.stage import made_before
from tests.pipeline.sizes import in_make_engine_alone
from tests.standins.kubernetes.api import Api, of
from tests.standins.kubernetes.definitions import of_operator
from tests.standins.place import Place
from tests.standins.plugins import ROOT
from tests.standins.record import Record

PROGRAM = ROOT / "tests" / "engine" / "aws" / "alone"
COMPONENTS = (
    "AgentImage",
    "Alarms",
    "ChangeCapture",
    "CheckpointStorage",
    "Cluster",
    "Cluster of somebody else",
    "FlinkApplication",
    "FlinkOperator",
    "Kafka",
    "Namespace",
    "Network",
    "Network of somebody else",
    "Observability",
    "Operations",
)
IN_MAKE_TEST = ("ChangeCapture", "Cluster of somebody else", "FlinkApplication", "Network")
"""Those whose resources depend on each other most."""
WHOLES = {"Foundation", "ManagedStack"}
"""Made of the others, for a whole environment: `test_whole.py`."""
SECRET = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:dev/support-AbCdEf"


@pytest.fixture
def there(cluster_place: Place, api: Api, tmp_path: Path) -> dict[str, Any]:
    """What somebody has already: a network, brokers, clusters, a bucket, namespaces with the operator."""
    archive = tmp_path / "debezium.zip"
    archive.write_bytes(b"a plugin")
    names = ("vpc", "subnet", "other-subnet", "third-subnet", "group", "bucket", "versioning")
    made = made_before(cluster_place, archive, *names, "brokers", "cluster")
    for space in ("flink", "flink-operator"):
        api.apply(of("Namespace", space))
    enforce_policies(api)
    return {
        "archive": str(archive),
        "bootstrap": made["brokers"].state["bootstrapBrokersSaslIam"],
        "brokers": made["brokers"].id,
        "bucket": made["bucket"].id,
        "cluster": made["cluster"].id,
        "clusterArn": made["cluster"].state["arn"],
        "group": made["group"].id,
        # A database that is looked at: `test_source.py`.
        "host": "db.example",
        "port": 5432,
        "preflight": "skipped",
        "secret": SECRET,
        "kafka": "standard",
        "kubeconfig": kubeconfig_of(made["cluster"]),
        "subnets": [made[name].id for name in ("subnet", "other-subnet", "third-subnet")],
        "vpc": made["vpc"].id,
    }


def test_every_public_component_is_tried() -> None:
    public = {name for name in headrace.aws.__all__ if f"{name}Args" in headrace.aws.__all__}
    assert public - WHOLES == {each.split()[0] for each in COMPONENTS}


@pytest.mark.parametrize(
    "component",
    [
        name if name in IN_MAKE_TEST else pytest.param(name, marks=in_make_engine_alone(f"{name} alone"))
        for name in COMPONENTS
    ],
)
def test_a_component_alone_comes_up_has_nothing_to_do_and_goes(
    component: str,
    there: dict[str, Any],
    cluster_place: Place,
    api: Api,
    left: Callable[[], list[str]],
    tmp_path: Path,
) -> None:
    if component == "FlinkApplication":
        for definition in of_operator():
            api.define(definition)
    project = Project(tmp_path / "project", cluster_place, "own")
    given = there | {"component": component}
    shutil.copytree(PROGRAM, project.folder / "program")
    (project.folder / "program" / "given.json").write_text(json.dumps(given), encoding="utf-8")
    project.start("program")
    recorded, objects = Record(cluster_place.record).left(), left()

    project.up()
    made = project.made()
    assert (made == set()) == (component == "Network of somebody else")

    project.forget()
    project.up("--refresh")
    assert {each.op for each in project.operations()} <= {"read"}
    assert project.made() == made

    project.destroy()
    assert project.made() == set()
    assert Record(cluster_place.record).left() == recorded
    assert left() == objects
