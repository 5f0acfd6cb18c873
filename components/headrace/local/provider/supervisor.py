"""The supervisor itself: everything else of a stack is its child."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from headrace.local.files import StackFiles
from headrace.local.supervision import Supervisor
from headrace.provider.resource import Inputs, JsonObject, Kind


class SupervisorInputs(Inputs):
    root: str
    """Folder of the stack."""


class SupervisorKind(Kind[SupervisorInputs]):
    token = "headrace-local:index:Supervisor"
    inputs = SupervisorInputs
    replace_on = frozenset({"root"})
    settled: ClassVar = {"status": "running"}

    def identify(self, inputs: SupervisorInputs) -> str:
        return inputs.root

    def create(self, inputs: SupervisorInputs) -> JsonObject:
        _supervisor(inputs).start()
        return {"status": "running"}

    def read(self, inputs: SupervisorInputs) -> JsonObject | None:
        return {"status": "running" if _supervisor(inputs).alive() else "stopped"}

    def delete(self, inputs: SupervisorInputs) -> None:
        _supervisor(inputs).shut_down()


def _supervisor(inputs: SupervisorInputs) -> Supervisor:
    return Supervisor(StackFiles(Path(inputs.root)))
