"""Values of the protocol as plain Python: unknown ones, differences, and other spellings of names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf import json_format, struct_pb2
from pulumi.runtime import rpc

Values = dict[str, Any]
UNKNOWN: str = rpc.UNKNOWN
"""Stands for a value that nobody knows before the update."""
DEFAULTS = "__defaults"
"""Where Pulumi's bridged providers keep which inputs they chose themselves."""


def plain(message: struct_pb2.Struct) -> Values:
    """Numbers that are whole become integers: the wire knows only doubles."""
    found: Values = whole(json_format.MessageToDict(message))
    return found


def whole(value: Any) -> Any:
    """The wire knows only doubles."""
    if isinstance(value, dict):
        return {name: whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def message(values: Values) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    json_format.ParseDict(values, made)
    return made


def known(value: Any) -> bool:
    """Whether nothing in it is unknown yet."""
    if isinstance(value, Mapping):
        return all(known(inner) for inner in value.values())
    if isinstance(value, list):
        return all(known(inner) for inner in value)
    return bool(value != UNKNOWN)


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each path that differs (``vpcConfig.subnetIds[0]``), and ``add``, ``delete`` or ``update``."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            inner = f"{path}.{name}" if path else name
            if name not in old:
                yield inner, "add"
            elif name not in new:
                yield inner, "delete"
            else:
                yield from differences(old[name], new[name], inner)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for at, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from differences(before, after, f"{path}[{at}]")
    elif old != new:
        yield path, "update"


def is_under(path: str, parent: str) -> bool:
    """Whether `path` is `parent`, or in it."""
    return path == parent or path.startswith((f"{parent}.", f"{parent}["))


def pascal(value: Any) -> Any:
    """Names of inputs as most of AWS's interfaces spell them: ``clientSubnets`` as ``ClientSubnets``."""
    if isinstance(value, dict):
        return {f"{name[0].upper()}{name[1:]}": pascal(inner) for name, inner in value.items()}
    return [pascal(inner) for inner in value] if isinstance(value, list) else value


def camel(value: Any) -> Any:
    """The way back from :func:`pascal`."""
    if isinstance(value, dict):
        return {f"{name[0].lower()}{name[1:]}": camel(inner) for name, inner in value.items()}
    return [camel(inner) for inner in value] if isinstance(value, list) else value


def given(**arguments: Any) -> Values:
    """Arguments of a call, without those that are ``None``."""
    return {name: value for name, value in arguments.items() if value is not None}
