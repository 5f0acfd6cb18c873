"""Settings of a running agent: versions that were set, and setting another."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from headrace.environment import names
from headrace.errors import HeadraceError
from headrace.local.topics import KeptRecord, read_topic, write
from headrace_agents.configuration import merged
from headrace_agents.control import SettingsChange
from headrace_agents.records import Position
from headrace_agents.spec import AgentJobSpec

State = Literal["unconfirmed", "accepted", "refused"]
"""Unconfirmed: not all shards have answered, as far as is known; some may have it."""


class _Written(BaseModel):
    """A record of the settings topic. A version is written before the shards are told, and once more when all
    have answered. The first record of a number says what it is; another that wanted it, too, is none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    change: SettingsChange
    accepted: bool = False
    refused: str = ""

    @property
    def state(self) -> State:
        if self.refused:
            return "refused"
        return "accepted" if self.accepted else "unconfirmed"


@dataclass(frozen=True)
class Version:
    """One line of the history."""

    change: SettingsChange
    at_ms: int
    state: State = "unconfirmed"
    refused: str = ""
    """Why."""

    @property
    def number(self) -> int:
        return self.change.version

    def as_json(self) -> dict[str, Any]:
        return {
            **self.change.model_dump(mode="json"),
            "at_ms": self.at_ms,
            "state": self.state,
            "refused": self.refused or None,
        }


def history(spec: AgentJobSpec) -> list[Version]:
    """Every version that was set, in their order. Raises HeadraceError when Kafka does not answer."""
    found: dict[int, Version] = {}
    for record, written in _read(spec):
        change = written.change
        first = found.setdefault(change.version, Version(change, record.timestamp_ms))
        if change == first.change and written.state != "unconfirmed":
            found[change.version] = Version(change, first.at_ms, written.state, written.refused)
    return [found[number] for number in sorted(found)]


def in_force(versions: Sequence[Version]) -> Version | None:
    """The last that all shards have taken; None while all is as declared."""
    return next((each for each in reversed(versions) if each.state == "accepted"), None)


def patches(versions: Sequence[Version]) -> dict[int, dict[str, Any]]:
    """Of the versions that all shards have taken, and of 0, which is what is declared."""
    return {0: {}, **{each.number: each.change.patch for each in versions if each.state == "accepted"}}


def changed(versions: Sequence[Version], changes: Mapping[str, Any], why: str) -> SettingsChange:
    """The version after these: what was set stays, a null puts a setting back to what is declared."""
    now = in_force(versions)
    return _next(versions, merged({} if now is None else now.change.patch, changes), why)


def reverted(versions: Sequence[Version], to: int | None, why: str) -> SettingsChange:
    """Without ``to`` what was before the newest that shards may have. Raises HeadraceError for a version that
    never was, and where there is nothing to go back from."""
    known = patches(versions)
    if to is None:
        standing = [each.number for each in versions if each.state != "refused"]
        if not standing:
            raise HeadraceError("settings are as declared: there is nothing to revert")
        to = max(number for number in known if number < standing[-1])
    if to not in known:
        allowed = ", ".join(map(str, known))
        raise HeadraceError(f"version: given {to}; allowed: {allowed} (0 is what is declared)")
    return _next(versions, known[to], why or f"as version {to}")


def note(spec: AgentJobSpec, change: SettingsChange) -> None:
    """In the history, before it is said to the agent: no decision has a version that is not there.

    Raises HeadraceError where another change has taken its number since the history was read.
    """
    (position,) = _write(spec, _Written(change=change))
    same = (record.position for record, written in _read(spec) if written.change.version == change.version)
    if next(same, None) != position:
        raise HeadraceError(
            f"{spec.name}: somebody set version {change.version} meanwhile; run it again. Nothing was changed"
        )


def note_answer(spec: AgentJobSpec, change: SettingsChange, refused: str = "") -> None:
    """In the history: all shards took it, or refused it and why."""
    _write(spec, _Written(change=change, accepted=not refused, refused=refused))


def _write(spec: AgentJobSpec, written: _Written) -> list[Position]:
    return write(spec.kafka, names.settings_topic(spec.name), [(None, written.model_dump_json().encode())])


def _read(spec: AgentJobSpec) -> Iterator[tuple[KeptRecord, _Written]]:
    for record in read_topic(spec.kafka, names.settings_topic(spec.name)):
        yield record, _Written.model_validate_json(record.value or b"")


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
            if not isinstance(at, dict):
                raise HeadraceError(f"given {each}, and {group} besides; allowed: one of both")
        if field in at:
            raise HeadraceError(f"given {each}, and {path} besides; allowed: one of both")
        at[field] = _value(each, text)
    return changes


def _value(given: str, text: str) -> Any:
    value = _parsed(text)
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except ValueError as error:
        # It would go out as null, which means what is declared.
        raise HeadraceError(f"given {given}: {error}; allowed: what JSON can hold") from error
    return value


def _parsed(text: str) -> Any:
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
