"""A backfill: the signal that starts it, sent once and never again."""

from __future__ import annotations

from typing import ClassVar

from headrace.errors import HeadraceError
from headrace.local.signals import Signal, read_signals, say, start
from headrace.local.topics import Broker
from headrace.provider.resource import Inputs, JsonObject, Kind


class BackfillInputs(Inputs):
    bootstrap_servers: str
    topic: str
    """Of the source's signals."""
    source: str
    id: str
    tables: tuple[str, ...]
    where: dict[str, str]


class BackfillKind(Kind[BackfillInputs]):
    """What has run is known by its id in the signals topic, not by the engine's state: it stays known when a
    stack is taken down, or when a command ends between the signal and the state."""

    token = "headrace-local:index:Backfill"
    inputs = BackfillInputs
    replace_on = frozenset({"source", "id"})
    settled: ClassVar = {"status": "told"}
    unobserved = frozenset({"bootstrap_servers"})

    def identify(self, inputs: BackfillInputs) -> str:
        return f"{inputs.source}/{inputs.id}"

    def create(self, inputs: BackfillInputs) -> JsonObject:
        wanted = start(inputs.id, inputs.tables, inputs.where)
        found = _told(inputs)
        if found is None:
            say(Broker(inputs.bootstrap_servers), inputs.topic, inputs.source, [wanted])
        elif found.encode() != wanted.encode():
            raise HeadraceError(
                f"backfill {inputs.id} of source {inputs.source} was started with other tables or conditions,"
                f" {found.encode().decode()}: a backfill runs once, so declare this one with another id."
                " Nothing was sent"
            )
        return {"status": "told"}

    def read(self, inputs: BackfillInputs) -> JsonObject | None:
        try:
            return None if _told(inputs) is None else {"status": "told"}
        except HeadraceError:  # Kafka is down or being restarted
            return {"status": "unreachable"}

    def delete(self, inputs: BackfillInputs) -> None:
        """Undoes nothing and stops nothing: `headrace backfill cancel` stops one that runs."""


def _told(inputs: BackfillInputs) -> Signal | None:
    said = read_signals(Broker(inputs.bootstrap_servers), inputs.topic)
    return next((each.signal for each in said if each.signal.id == inputs.id), None)
