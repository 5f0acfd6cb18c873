"""An erased key leaves no trace in memory, inbox, journal, reminders, nor in a savepoint made after that."""

from __future__ import annotations

import json
from collections import Counter

from headrace_agents.control import Report
from headrace_agents.records import idempotency_key
from tests.pipeline.commands import command
from tests.pipeline.injection import created, inject
from tests.pipeline.model import ScriptedModel
from tests.pipeline.plugin import Pipeline
from tests.pipeline.savepoints import canonical_savepoint, traces
from tests.pipeline.waiting import until

AGENTS = ("five-steps", "five-steps-unsaved")
TABLE, TOPIC = "public.cases", "support.public.cases"
CASE = 914_273_658
CANARY = "what-nobody-may-find-again-5b1f"
KEY = json.dumps({"id": CASE}).encode()
PATIENCE_S = 60
STEP_MS, FOREVER_MS = 2_000, 600_000


def test_an_erased_key_leaves_no_trace(pipeline: Pipeline) -> None:
    stack, model = pipeline.stack, ScriptedModel(pipeline.stack)
    event = (KEY, created(TABLE, {"id": CASE, "note": CANARY}))
    pipeline.decide(inject(stack.bootstrap_servers, TOPIC, {"remembered": event}).values())
    with model.behaving(latency_ms=STEP_MS):
        where = inject(stack.bootstrap_servers, TOPIC, {"under way": event, "waiting": event})
        key, position = f"[{CASE}]".encode(), where["under way"]
        second = {idempotency_key(agent, key, position, "charge", 0) for agent in AGENTS}
        until("the second step goes on", lambda: second <= set(model.calls()["open_keys"]), PATIENCE_S)
    with model.behaving(latency_ms=FOREVER_MS):
        for agent in AGENTS:
            until(
                f"all kinds of traces in {agent}",
                lambda agent=agent: traced(command(stack, agent, "check")),  # type: ignore[misc]
                PATIENCE_S,
            )
            assert traces(stack, canonical_savepoint(stack, agent), CANARY.encode())
            erased = counted(command(stack, agent, "erase", (CASE,)))
            assert erased == {"memories": 1, "events": 2, "reminders": 1}
            savepoint = canonical_savepoint(stack, agent)
            assert not traces(stack, savepoint, CANARY.encode())
            assert not traces(stack, savepoint, str(CASE).encode())
            assert not counted(command(stack, agent, "check")).keys() & {"inbox", "journal"}
    pipeline.decide(where.values())
    pipeline.verify()


def counted(reports: list[Report]) -> Counter[str]:
    """What all shards together say."""
    return sum((Counter(report.counts) for report in reports), Counter())


def traced(reports: list[Report]) -> bool:
    return counted(reports).keys() >= {"memory", "inbox", "journal", "reminders"}
