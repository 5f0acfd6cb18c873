"""What subtasks say on a TaskManager's Prometheus page."""

from __future__ import annotations

from tests.pipeline.figures import of

SAMPLE = """flink_taskmanager_job_task_operator_{name}{{operator_name="{agent}",\
task_name="{agent} -> Calc[5]",job_name="{agent}",subtask_index="{subtask}",}} {value}
"""
SAID = (
    ("shards", "chronicle", 0, 64.0),
    ("shards", "chronicle", 1, 63.0),
    ("shards", "other", 0, 128.0),
    ("inbox_events", "chronicle", 0, 3.0),
)
PAGE = "".join(
    SAMPLE.format(name=name, agent=agent, subtask=subtask, value=value)
    for name, agent, subtask, value in SAID
)


def test_a_gauge_is_read_by_subtask_of_one_agent() -> None:
    assert of(PAGE, "chronicle", "shards") == {0: 64.0, 1: 63.0}
    assert of(PAGE, "chronicle", "inbox_events") == {0: 3.0}
    assert of(PAGE, "nobody", "shards") == {}
