"""A stack's saved state, as ``pulumi stack export`` writes it, as the resources that rules judge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from headrace_policies.nodes import UNKNOWN, Node
from headrace_policies.stacks import Resource, Stack, canonical

SIGNATURE = "4dabf18193072939515e22adb298388d"
"""Key by which Pulumi marks a value that is more than it seems; secrets among them."""
MARK = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""Pulumi's mark of an unknown value."""


def stack(exported: Mapping[str, Any]) -> Stack:
    """The resources of an export, with what they asked for over what the provider made of it.

    Raises:
        ValueError: it is no export of a stack.
    """
    if not exported.get("deployment"):
        raise ValueError("no `deployment` in it: give what `pulumi stack export` writes")
    return Stack(tuple(_resource(state) for state in exported["deployment"].get("resources") or ()))


def _resource(state: Mapping[str, Any]) -> Resource:
    urn = str(state["urn"])
    properties = {**(state.get("outputs") or {}), **(state.get("inputs") or {})}
    if state.get("id"):
        properties.setdefault("id", state["id"])
    return Resource(
        urn=urn,
        kind=canonical(str(state["type"])),
        name=urn.rpartition("::")[2],
        properties=Node(_readable(properties)),
        depends={key: tuple(urns or ()) for key, urns in (state.get("propertyDependencies") or {}).items()},
    )


def _readable(value: Any) -> Any:
    """Secrets that are encrypted can't be judged, so they count as unknown; opened ones are their value."""
    if isinstance(value, Mapping):
        if SIGNATURE in value:
            return _readable_secret(value)
        return {key: _readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    return UNKNOWN if value == MARK else value


def _readable_secret(value: Mapping[str, Any]) -> Any:
    return json.loads(value["plaintext"]) if "plaintext" in value else UNKNOWN
