"""What subtasks say on a TaskManager's Prometheus page."""

from __future__ import annotations

from tests.pipeline.figures import of

SAMPLE = """flink_taskmanager_job_task_operator_{labels}headrace_{name}{{operator_name="{agent}",\
task_name="{agent} -> Calc[5]",job_name="{agent}",subtask_index="{subtask}",{values}}} {value}
"""
SAID = (
    ("shards", "chronicle", 0, 64.0),
    ("shards", "chronicle", 1, 63.0),
    ("shards", "other", 0, 128.0),
    ("inbox_events", "chronicle", 0, 3.0),
)
PAGE = "".join(
    SAMPLE.format(name=name, agent=agent, subtask=subtask, value=value, labels="", values="")
    for name, agent, subtask, value in SAID
)
ENDPOINTS = "".join(
    SAMPLE.format(
        name="calls_in_flight",
        agent="chronicle",
        subtask=0,
        value=value,
        labels="gen_ai_operation_name_endpoint_",
        values=f'gen_ai_operation_name="{operation}",endpoint="{number}",',
    )
    for operation, number, value in (("chat", 1, 7), ("chat", 0, 5), ("embeddings", 0, 9))
)


def test_a_gauge_is_read_by_subtask_of_one_agent() -> None:
    assert of(PAGE, "chronicle", "shards") == {0: 64.0, 1: 63.0}
    assert of(PAGE, "chronicle", "inbox_events") == {0: 3.0}
    assert of(PAGE, "nobody", "shards") == {}


def test_of_several_endpoints_the_first_is_read() -> None:
    assert of(ENDPOINTS, "chronicle", "calls_in_flight") == {0: 5.0}
