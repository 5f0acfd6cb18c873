"""Which agents there are: none goes without a word in the declaration."""

from __future__ import annotations

from typing import ClassVar

from headrace.errors import HeadraceError
from headrace.provider.resource import Inputs, JsonObject, Kind


class RosterInputs(Inputs):
    declared: tuple[str, ...]
    """Names of the agents."""
    removed: tuple[str, ...] = ()
    """Names that may be gone: `agents_removed` of the declaration."""


class BaseRosterKind(Kind[RosterInputs]):
    """There is nothing to make. The engine tells nobody of a resource that is to be deleted before it is:
    so the names that were there are compared with those that are declared here, where a preview asks."""

    inputs = RosterInputs
    stays: ClassVar[str]
    """What becomes of what an agent had, for people."""
    unobserved: ClassVar = frozenset({"removed"})

    def identify(self, inputs: RosterInputs) -> str:  # noqa: ARG002 - a stack has one
        return "agents"

    def create(self, inputs: RosterInputs) -> JsonObject:  # noqa: ARG002
        return {}

    def read(self, inputs: RosterInputs) -> JsonObject | None:  # noqa: ARG002
        return {}

    def delete(self, inputs: RosterInputs) -> None:
        """It left nothing anywhere."""

    def foretold(self, old: JsonObject, new: JsonObject) -> str:
        """Raises HeadraceError: an agent is gone without a word."""
        gone = sorted(set(old.get("declared", ())) - set(new["declared"]))
        if unsaid := [name for name in gone if name not in new["removed"]]:
            names = ", ".join(unsaid)
            raise HeadraceError(
                f"agents that ran are no longer declared: {names}. If they are to go, say so in the"
                f" declaration: `agents_removed: [{names}]`. Their jobs are then stopped with savepoints;"
                f" {self.stays}. Nothing was changed"
            )
        return "\n".join(f"agent {name}: its job is stopped with a savepoint; {self.stays}" for name in gone)
