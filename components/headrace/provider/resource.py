"""What every resource kind of the provider looks like.

A kind is a class with typed inputs and five verbs. Inputs and observed values are kept side by side in
the engine's state; a difference in either is a change, so `pulumi preview` after `pulumi refresh` tells
what was declared differently and what has become different by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar, cast

from pydantic import BaseModel, ConfigDict

JsonObject = dict[str, Any]


class Inputs(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


I = TypeVar("I", bound=Inputs)  # noqa: E741  (the type variable of a resource's inputs)


class Kind(ABC, Generic[I]):
    """One resource kind. Verbs are idempotent: an interrupted one is run again by the next ``up``."""

    token: ClassVar[str]
    """``headrace-local:index:Name``"""
    inputs: ClassVar[type[Inputs]]
    replace_on: ClassVar[frozenset[str]] = frozenset()
    """Inputs that can't change in place."""
    settled: ClassVar[Mapping[str, Any]] = {}
    """Observed values of a resource that is as it should be; any other value is a change to mend."""
    unobserved: ClassVar[frozenset[str]] = frozenset()
    """Inputs that say where or how, not what: a change of them alone changes nothing that runs."""

    @abstractmethod
    def identify(self, inputs: I) -> str:
        """The resource's id in the engine's state."""

    @abstractmethod
    def create(self, inputs: I) -> JsonObject:
        """Make it, or adopt what exists; returns what is observed."""

    @abstractmethod
    def read(self, inputs: I) -> JsonObject | None:
        """What is there now: observed values, and inputs that were found different. None where it is gone."""

    def update(self, old: JsonObject, inputs: I) -> JsonObject:  # noqa: ARG002 (for kinds that compare)
        """Bring it to `inputs`; `old` is the recorded state. Returns what is observed.

        What a create adopts it also brings to its inputs, so for most kinds an update is a create.
        """
        return self.create(inputs)

    @abstractmethod
    def delete(self, inputs: I) -> None:
        """Remove it; fine where it is gone."""

    def recorded_inputs(self, recorded: JsonObject) -> I:
        """Inputs among what the state holds, without what an older version of the provider put there."""
        known = {name: recorded[name] for name in self.inputs.model_fields if name in recorded}
        # No class variable may be of the class's own type variable.
        return cast("I", self.inputs.model_validate(known))

    def differences(self, old: JsonObject, new: JsonObject) -> dict[str, bool]:
        """Property -> whether it is an input, for everything that must change."""
        changed = {
            name: True
            for name in self.inputs.model_fields
            if name not in self.unobserved and old.get(name) != new.get(name)
        }
        drifted = {name: False for name, wanted in self.settled.items() if old.get(name) != wanted}
        return changed | drifted

    def foretold(self, old: JsonObject, new: JsonObject) -> str:  # noqa: ARG002 (for kinds that tell)
        """What a change from the recorded state to these inputs will do, for a person who reads a preview;
        empty where the difference says it all. Raises HeadraceError for a change that is refused.
        """
        return ""
