"""What agents should remember: their memory, replayed from their events, and what they said against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from headrace_testing_agents.replaying import REMINDED_EVERY, chained

OPERATIONS = {"c": "create", "u": "update", "d": "delete", "r": "read"}
Event = Mapping[str, Any]
"""A change, as Debezium writes it; or a reminder, as the agent had set it."""


class Replay(Protocol):
    """The memory of one key, event after event."""

    def take(self, event: Event) -> int:
        """Remember a change; returns how many reminders it sets."""

    def contradictions(self, event: Event, said: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """What the decisions of the change that was taken last say, and memory does not."""

    def reminded(self, said: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """Take a reminder that has come, with its decisions; gives what they say wrongly."""


@dataclass
class Triage:
    """What the support triage agent should remember of one customer."""

    seen: int = 0
    open: set[int] = field(default_factory=set)

    def take(self, event: Event) -> int:
        row = event["after"] or event["before"]
        if event["op"] in ("c", "r"):
            self.seen += 1
        if event["op"] == "d" or (event["op"] == "u" and row["status"] == "closed"):
            self.open.discard(row["id"])
        else:
            self.open.add(row["id"])
        return 0

    def contradictions(self, event: Event, said: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        triages = [each["decision"] for each in said if each["kind"] == "TriageDecision"]
        escalations = [each["decision"] for each in said if each["kind"] == "Escalation"]
        opened = event["op"] in ("c", "r")
        if len(triages) != opened or len(escalations) > opened:
            yield f"{len(triages)} triages, {len(escalations)} escalations of {event['op']}"
        for decision in [*triages, *escalations]:
            if (decision["ticket_id"], decision["tickets_seen"]) != (event["after"]["id"], self.seen):
                yield f"{decision}, not {self.seen} tickets seen"
        for escalation in escalations:
            if escalation["reason"] != f"{self.seen} tickets, {len(self.open)} of them open":
                yield f"{escalation}, not {len(self.open)} open"

    def reminded(self, said: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        yield f"a reminder that was never set: {said}"


@dataclass
class Chronicle:
    """What the tests' chronicle should remember of one customer: every event, in order."""

    events: int = 0
    digest: str = ""
    waiting: set[int] = field(default_factory=set)
    """Numbers of the events whose reminders have not come."""
    reminders: int = 0

    def take(self, event: Event) -> int:
        row = event["after"] or event["before"]
        self.events += 1
        self.digest = chained(self.digest, OPERATIONS[event["op"]], row["id"], row.get("body") or "")
        if self.events % REMINDED_EVERY:
            return 0
        self.waiting.add(self.events)
        return 1

    def contradictions(self, event: Event, said: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        row = event["after"] or event["before"]
        noted = [
            (each["kind"], *map(each["decision"].get, ("ticket_id", "number", "digest"))) for each in said
        ]
        if noted != [("Noted", row["id"], self.events, self.digest)]:
            yield f"{noted}, not {row['id']} as number {self.events} with {self.digest}"

    def reminded(self, said: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        self.reminders += 1
        decisions = [(each["kind"], each["decision"].get("times")) for each in said]
        if decisions != [("Reminded", self.reminders)]:
            yield f"{decisions} of a reminder, not {self.reminders} of them"
        for each in said:
            number = each["decision"].get("number")
            if number not in self.waiting:
                yield f"a reminder of event {number}, of which {sorted(self.waiting)} wait"
            self.waiting.discard(number)


REPLAYS: Mapping[str, type[Triage | Chronicle]] = {
    "support_triage.agent:SupportTriage": Triage,
    "headrace_testing_agents.agents:Chronicle": Chronicle,
}
"""By the agent's entry point; what others remember is not looked at."""
