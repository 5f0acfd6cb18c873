"""What is refused before a job is submitted, and the text of its tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace_agents import AgentError
from headrace_agents.agent import load
from headrace_agents.flink import sql
from headrace_agents.flink.preflight import JobError, read_spec
from headrace_agents.spec import AgentJobSpec
from headrace_agents.testing import DEFAULT_LIMITS, in_memory_spec

SPEC = in_memory_spec(load("support_triage.agent:SupportTriage", {}), ("customer_id",), DEFAULT_LIMITS)


def written(folder: Path, **changes: Any) -> Path:
    file = folder / "spec.json"
    file.write_text(SPEC.model_copy(update=changes).model_dump_json())
    return file


def test_a_good_specification_is_read(tmp_path: Path) -> None:
    assert read_spec(written(tmp_path)) == SPEC


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parallelism": 2}, "parallelism 2 is above max_parallelism 1"),
        ({"inputs": (SPEC.inputs[0], SPEC.inputs[0])}, "a topic is there twice"),
        (
            {"inputs": (SPEC.inputs[0].model_copy(update={"table": "public.others"}),)},
            "handles public\\.tickets, which no input topic carries",
        ),
        (
            {"limits": DEFAULT_LIMITS.model_copy(update={"inbox_soft_events": 9_000})},
            "inbox_soft_events must be below",
        ),
    ],
)
def test_a_specification_that_makes_no_sense_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(JobError, match=message):
        read_spec(written(tmp_path, **changes))


def test_an_agent_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"module support_triage.agent has no Nobody"):
        read_spec(written(tmp_path, entry_point="support_triage.agent:Nobody"))


def test_a_class_in_a_single_module_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lonely_agent.py").write_text("from support_triage.agent import SupportTriage")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(JobError, match="lonely_agent is a single module"):
        read_spec(written(tmp_path, entry_point="lonely_agent:SupportTriage"))


@pytest.mark.parametrize("code", ["raise NameError('oops')", "import sys; sys.exit('oops')", "def oops("])
def test_a_module_whose_code_fails_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    (tmp_path / "failing_agent.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(AgentError, match="can't import failing_agent: "):
        read_spec(written(tmp_path, entry_point="failing_agent:Any"))


def test_a_file_that_is_no_specification_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    file.write_text("{}")

    with pytest.raises(JobError, match="entry_point"):
        read_spec(file)
    with pytest.raises(JobError, match="No such file"):
        read_spec(tmp_path / "none.json")


def with_delivery(delivery: str) -> AgentJobSpec:
    return SPEC.model_copy(update={"kafka": SPEC.kafka.model_copy(update={"delivery": delivery})})


def test_only_exactly_once_has_transactions() -> None:
    assert "'sink.transaction-naming-strategy' = 'POOLING'" in sql.sink_table(with_delivery("exactly-once"))
    assert "transaction" not in sql.sink_table(with_delivery("at-least-once"))


def test_quotes_in_names_stay_inside_their_literals() -> None:
    spec = SPEC.model_copy(update={"key": ("o'clock",), "name": "it's"})

    assert """'$[''o\\''clock'']'""" in sql.keyed_changes(spec, [5])
    assert "'properties.group.id' = 'it''s'" in sql.source_table(spec)
