"""Whether what an agent goes on from has to be proved first: by what was submitted last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.environment import load_environment
from headrace.local.agent_jobs.inputs import (
    MANIFEST,
    SPEC,
    AgentJobInputs,
    folder_name,
    wrote_its_state,
)
from headrace.plan import plan
from headrace_agents.describing import manifest_of
from tests.unit.environment.declarations import SHIPPED

AGENT = plan(load_environment(SHIPPED)).agents[0].spec
KNOWN = manifest_of(AGENT.entry_point).model_copy(update={"flink_version": "2.3.0"})


def inputs(root: Path) -> AgentJobInputs:
    return AgentJobInputs(
        root=str(root),
        flink_endpoint="http://127.0.0.1:1",
        object_store_endpoint="http://127.0.0.1:2",
        spec=AGENT.model_dump(mode="json"),
        manifest=KNOWN.canonical(),
        command=("none",),
        client_files={},
        environment={},
        packages={},
        healthy_for_s=1,
    )


def submitted(wanted: AgentJobInputs, flink: str = "2.3.0", **spec: Any) -> None:
    folder = wanted.files.etc(folder_name(AGENT.name))
    folder.mkdir(parents=True)
    (folder / SPEC).write_text(json.dumps(wanted.spec | spec))
    (folder / MANIFEST).write_text(KNOWN.model_copy(update={"flink_version": flink}).canonical())


def test_nothing_is_known_of_what_nobody_submitted_here(tmp_path: Path) -> None:
    assert not wrote_its_state(inputs(tmp_path))


@pytest.mark.parametrize(
    ("change", "itself"),
    [
        ({}, True),
        ({"parallelism": 4}, True),
        ({"code": "other"}, False),
        ({"entry_point": "support_triage.agent:Other"}, False),
        ({"flink": "2.2.1"}, False),
        ({"flink": "2.4.0"}, False),
        ({"of_another": 1}, False),
    ],
    ids=str,
)
def test_other_code_and_another_flink_have_to_prove_that_they_read_it(
    tmp_path: Path, change: dict[str, Any], itself: bool
) -> None:
    wanted = inputs(tmp_path)
    submitted(wanted, **change)
    assert wrote_its_state(wanted) is itself
