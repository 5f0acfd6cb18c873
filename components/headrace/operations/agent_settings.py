"""Settings of a running agent: versions that were set, and setting another."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from headrace.environment import names
from headrace.errors import HeadraceError
from headrace.operations.topics import read_topic, write
from headrace_agents.configuration import merged
from headrace_agents.control import SettingsChange
from headrace_agents.spec import AgentJobSpec


class _Written(BaseModel):
    """A record of the settings topic. One that was refused is written a second time, with why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    change: SettingsChange
    refused: str = ""


@dataclass(frozen=True)
class Version:
    """One line of the history."""

    change: SettingsChange
    at_ms: int
    refused: str = ""

    @property
    def number(self) -> int:
        return self.change.version

    def as_json(self) -> dict[str, Any]:
        return {**self.change.model_dump(mode="json"), "at_ms": self.at_ms, "refused": self.refused or None}


def history(spec: AgentJobSpec) -> list[Version]:
    """Every version that was set, in their order. Raises HeadraceError when Kafka does not answer."""
    found: dict[int, Version] = {}
    for record in read_topic(spec.kafka, names.settings_topic(spec.name)):
        written = _Written.model_validate_json(record.value or b"")
        before = found.get(written.change.version)
        at_ms = record.timestamp_ms if before is None else before.at_ms
        found[written.change.version] = Version(written.change, at_ms, written.refused)
    return [found[number] for number in sorted(found)]


def in_force(versions: Sequence[Version]) -> Version | None:
    """None while all is as declared."""
    return next((each for each in reversed(versions) if not each.refused), None)


def changed(versions: Sequence[Version], changes: Mapping[str, Any], why: str) -> SettingsChange:
    """The version after these: what was set stays, a null puts a setting back to what is declared."""
    now = in_force(versions)
    return _next(versions, merged({} if now is None else now.change.patch, changes), why)


def reverted(versions: Sequence[Version], to: int | None, why: str) -> SettingsChange:
    """Raises HeadraceError for a version that never was, and where there is nothing to go back from."""
    accepted = [each for each in versions if not each.refused]
    if to is None:
        if not accepted:
            raise HeadraceError("settings are as declared: there is nothing to revert")
        to = accepted[-2].number if len(accepted) > 1 else 0
    patches: dict[int, dict[str, Any]] = {0: {}, **{each.number: each.change.patch for each in accepted}}
    if to not in patches:
        known = ", ".join(map(str, patches))
        raise HeadraceError(f"version: given {to}; allowed: {known} (0 is what is declared)")
    return _next(versions, patches[to], why or f"as version {to}")


def note(spec: AgentJobSpec, change: SettingsChange, refused: str = "") -> None:
    """In the history; before it is said to the agent, so that no decision has a version that is not there."""
    written = _Written(change=change, refused=refused)
    write(spec.kafka, names.settings_topic(spec.name), [(None, written.model_dump_json().encode())])


def parse_changes(given: Sequence[str]) -> dict[str, Any]:
    """``FIELD=VALUE``, ``FIELD=@FILE`` and ``A.B=VALUE``; a value is read as JSON where it is some.

    Raises HeadraceError for anything else.
    """
    changes: dict[str, Any] = {}
    for each in given:
        path, equals, text = each.partition("=")
        if not equals or not all(path.split(".")):
            raise HeadraceError(f"given {each}; allowed: FIELD=VALUE, FIELD=@FILE, FIELD=null")
        *groups, field = path.split(".")
        at = changes
        for group in groups:
            at = at.setdefault(group, {})
        at[field] = _value(text)
    return changes


def _value(text: str) -> Any:
    if text.startswith("@"):
        try:
            return Path(text[1:]).read_text(encoding="utf-8").rstrip("\n")
        except (OSError, ValueError) as error:
            raise HeadraceError(f"{text}: {error}") from error
    try:
        return json.loads(text)
    except ValueError:
        return text


def _next(versions: Sequence[Version], patch: dict[str, Any], why: str) -> SettingsChange:
    last = versions[-1].number if versions else 0
    return SettingsChange(version=last + 1, patch=patch, by=_who(), why=why)


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
