"""An agent's settings while it runs: as declared, with changes over them that commands make, in versions.

A change is a JSON merge patch (RFC 7386) over the declared settings: what it does not name stays as it is
declared, also when the declaration changes. Version 0 is the declaration alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from headrace_agents.agent import Agent, LoadedAgent, SettingsError

_INSTANCES_KEPT = 16


def canonical(patch: Mapping[str, Any]) -> str:
    return json.dumps(patch, sort_keys=True, separators=(",", ":"))


def merged(settings: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7386: a null removes, an object is merged, all else replaces."""
    result = dict(settings)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            before = result.get(name)
            result[name] = merged(before if isinstance(before, dict) else {}, value)
        else:
            result[name] = value
    return result


class Configurations:
    """Instances of an agent by what they are set to; each is made once, as an author's class may be dear."""

    def __init__(self, agent: LoadedAgent) -> None:
        self._agent = agent
        self._instances: dict[str, Agent[Any, Any, Any]] = {}

    def instance(self, patch: str) -> Agent[Any, Any, Any]:
        """Raises SettingsError for what the agent's class does not take."""
        if patch == "{}":
            return self._agent.instance
        found = self._instances.get(patch)
        if found is None:
            found = self._made(patch)
            if len(self._instances) >= _INSTANCES_KEPT:
                self._instances.pop(next(iter(self._instances)))
            self._instances[patch] = found
        return found

    def _made(self, patch: str) -> Agent[Any, Any, Any]:
        try:
            return self._agent.with_settings(merged(self._agent.settings, json.loads(patch)))
        except SettingsError:
            raise
        except Exception as error:  # the author's own constructor
            raise SettingsError(f"the agent can't be made: {type(error).__name__}: {error}") from error
