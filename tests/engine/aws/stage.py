"""Parts of the scene made through the provider's own protocol, each after those that it refers to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.engine.aws.scene import REFERENCE, REGION, Part, scene
from tests.standins.place import Place
from tests.standins.plugins import Plugin, plugin
from tests.standins.values import Values


class Made:
    """A resource that is there."""

    def __init__(self, urn: str, made: str, inputs: Values, state: Values) -> None:
        self.urn, self.id, self.inputs, self.state = urn, made, inputs, state


def made_before(place: Place, archive: Path, *names: str) -> dict[str, Made]:
    """Parts of the scene that somebody has made already, with what they refer to."""
    with plugin("aws", place) as provider:
        provider.configure(region=REGION)
        stage = Stage(provider, scene(archive))
        return {name: stage.make(name) for name in names}


class Stage:
    """Makes parts of the scene, each after those that it refers to."""

    def __init__(self, provider: Plugin, parts: dict[str, Part]) -> None:
        self.provider = provider
        self.parts = parts
        self.made: dict[str, Made] = {}

    def urn(self, name: str) -> str:
        return f"urn:pulumi:dev::headrace::{self.parts[name].type}::{name}"

    def checked(self, name: str, /, **change: Any) -> Values:
        """Inputs with what they refer to made, as the provider takes them."""
        for other in self.parts[name].refers_to:
            self.make(other)
        old = self.made[name].inputs if name in self.made else {}
        new, failures = self.provider.check(
            self.urn(name), self._resolved(self.parts[name].inputs | change), old
        )
        assert failures == {}
        return new

    def make(self, name: str) -> Made:
        if name not in self.made:
            inputs = self.checked(name)
            made, state = self.provider.create(self.urn(name), inputs)
            self.made[name] = Made(self.urn(name), made, inputs, state)
        return self.made[name]

    def remove(self, name: str) -> None:
        found = self.made.pop(name)
        self.provider.delete(found.urn, found.id, found.inputs, found.state)

    def read(self, name: str) -> tuple[Values, Values] | None:
        found = self.made[name]
        return self.provider.read(found.urn, found.id, found.inputs, found.state)

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._resolved(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._resolved(inner) for inner in value]
        if not isinstance(value, str):
            return value
        if whole := REFERENCE.fullmatch(value):
            return self._output(whole)
        return REFERENCE.sub(lambda found: str(self._output(found)), value)

    def _output(self, reference: re.Match[str]) -> Any:
        found = self.made[reference[1]]
        return found.id if reference[2] == "id" else found.state[reference[2]]
