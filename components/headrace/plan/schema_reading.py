"""Whether a pydantic model reads what another one has written, as far as their JSON schemas tell.

Three answers, none of them a guess: it reads everything; there is something valid that it can't read; or
schemas do not tell. Whoever asks has to take the last one for what it is.

What pydantic reads from JSON is said in its conversion table (lax mode, JSON input).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from headrace_agents.manifest import Shape
from headrace_agents.shapes import DECIMAL, KEYS

Schema = Mapping[str, Any]
Answer = Literal["reads", "untold", "fails"]
_ORDER: tuple[Answer, ...] = ("reads", "untold", "fails")


@dataclass(frozen=True)
class Reading:
    """What comes of reading something old by something new."""

    answer: Answer
    where: str = ""
    """Path of the field, ``payments.*.amount``; empty for all of it."""
    why: str = ""


READS = Reading("reads")


def reading(old: Shape, new: Shape) -> Reading:
    """Whether `new` reads whatever `old` writes."""
    found = _Comparison(old.written, new.read).of_all()
    if hidden := tuple(dict.fromkeys((*old.untold, *new.untold))):
        also = f"; besides, {found.where}: {found.why}" if found.why else ""
        return Reading("untold", "", f"no schema tells of {', '.join(hidden)}{also}")
    return found


def lost(old: Shape, new: Shape) -> tuple[str, ...]:
    """Fields of the old model itself that the new one drops where it reads them."""
    if _top(new.read).get("additionalProperties"):
        return ()
    return tuple(sorted(_properties(old.written).keys() - _properties(new.read).keys()))


def gained(old: Shape, new: Shape) -> tuple[str, ...]:
    """Fields of the new model itself that no old memory has."""
    return tuple(sorted(_properties(new.read).keys() - _properties(old.written).keys()))


_SAID = frozenset({"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"})
"""What changes nothing of what is read."""
_SAID_ELSEWHERE = frozenset({"$defs", "propertyNames"})
_TYPES = ("string", "integer", "number", "boolean", "null", "array", "object")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_TEXTS = frozenset({"date-time", "date", "time", "duration", "uuid", DECIMAL})
"""Formats that not every text has."""
_KNOWN = frozenset(
    {
        *("$ref", "$defs", "type", "enum", "const", "format", "anyOf", "pattern", "multipleOf"),
        *("properties", "required", "additionalProperties", KEYS),
        *("items", "prefixItems", "uniqueItems"),
        *_UPPER,
        *_LOWER,
    }
)


class _Comparison:
    """Of two schemas with their definitions; models that contain themselves are compared once."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._all = tuple({k: v for k, v in each.items() if k != "$defs"} for each in (old, new))
        self._old, self._new = old.get("$defs", {}), new.get("$defs", {})
        self._assumed: set[tuple[str, str]] = set()

    def of_all(self) -> Reading:
        old, new = self._all
        return self.of(old, new, "")

    def of(self, old: Schema, new: Schema, where: str) -> Reading:
        pair = (json.dumps(_plain(old), sort_keys=True), json.dumps(_plain(new), sort_keys=True))
        if pair in self._assumed:
            return READS
        self._assumed.add(pair)
        try:
            return self._compared(_resolved(old, self._old), _resolved(new, self._new), where)
        finally:
            self._assumed.discard(pair)

    def _compared(self, old: Schema, new: Schema, where: str) -> Reading:
        if not new or (old == new and "$ref" not in json.dumps(new)):
            return READS
        if unknown := (old.keys() | new.keys()) - _KNOWN:
            return Reading("untold", where, f"schemas with {', '.join(sorted(unknown))} are not compared")
        if "anyOf" in old:
            return _worst(self.of(each, new, where) for each in old["anyOf"])
        if "anyOf" in new:
            return self._any_of(old, new["anyOf"], where)
        return self._of_one_type(old, new, where)

    def _of_one_type(self, old: Schema, new: Schema, where: str) -> Reading:
        before, after = old.get("type"), new.get("type")
        if before not in _TYPES or after not in _TYPES:
            return Reading("untold", where, f"{_name(old)} may be anything")
        if before != after:
            return _other_type(old, new, where)
        within = {"object": self._object, "array": self._array}.get(str(before), _values)
        return _worst((_constraints(old, new, where), within(old, new, where)))

    def _any_of(self, old: Schema, choices: Iterable[Schema], where: str) -> Reading:
        found = [self.of(old, each, where) for each in choices]
        if any(each.answer == "reads" for each in found):
            return READS
        untold = next((each for each in found if each.answer == "untold"), None)
        if untold is not None or len({_type(each, self._new) for each in choices}) < len(found):
            # What one choice can't read of a type another may.
            return untold or Reading("untold", where, "one of several choices may read it")
        return Reading("fails", where, found[0].why)

    def _object(self, old: Schema, new: Schema, where: str) -> Reading:
        return _worst((*self._fields(old, new, where), self._rest(old, new, where)))

    def _fields(self, old: Schema, new: Schema, where: str) -> Iterator[Reading]:
        before, after = _properties(old), _properties(new)
        needed, always = set(new.get("required", ())), set(old.get("required", ()))
        for name in sorted(after):
            at = _below(where, name)
            if name in before:
                yield self.of(before[name], after[name], at)
                if name in needed and name not in always:
                    # It is written wherever the old model wrote it; an older one may not have known it.
                    yield Reading("untold", at, "it has no default any more, and may be missing")
            elif old.get("additionalProperties"):
                yield Reading("untold", at, "what stood there under this name is not known")
            elif name in needed:
                yield Reading("fails", at, "it is new and has no default")
        if new.get("additionalProperties") is False and (more := sorted(before.keys() - after.keys())):
            why = "it is gone, and the model forbids what it does not know"
            yield Reading("fails", _below(where, more[0]), why)

    def _rest(self, old: Schema, new: Schema, where: str) -> Reading:
        """Of mappings, and of models that take more than their fields."""
        before, after = old.get("additionalProperties"), new.get("additionalProperties")
        if KEYS not in old and KEYS not in new:
            if before and after is False:
                return Reading("untold", where, "what it does not know is forbidden now")
            if isinstance(after, dict):
                return Reading("untold", where, "what it does not know is checked now")
            return READS
        if KEYS not in old or KEYS not in new:
            return Reading("untold", where, "a mapping and a model are not compared")
        keys = _keys(old[KEYS], new[KEYS], where)
        values = READS
        if isinstance(after, dict):
            values = self.of(before if isinstance(before, dict) else {}, after, _below(where, "*"))
        if values.answer == "fails" and old.get("maxProperties") == 0:
            values = READS
        return _worst((keys, values))

    def _array(self, old: Schema, new: Schema, where: str) -> Reading:
        if "prefixItems" in old or "prefixItems" in new:
            before, after = old.get("prefixItems", ()), new.get("prefixItems", ())
            sizes = {each.get(key) for each in (old, new) for key in ("minItems", "maxItems")}
            if len(before) != len(after) or sizes != {len(before)}:
                return Reading("untold", where, "tuples of other lengths are not compared")
            pairs = zip(before, after, strict=True)
            return _worst(self.of(b, a, _below(where, str(at))) for at, (b, a) in enumerate(pairs))
        if new.get("uniqueItems") and (
            not old.get("uniqueItems") or _plain(old.get("items")) != _plain(new.get("items"))
        ):
            return Reading("untold", where, "a set of other values may be smaller, or be none")
        found = self.of(old.get("items", {}), new.get("items", {}), _below(where, "*"))
        return READS if found.answer == "fails" and old.get("maxItems") == 0 else found


def _resolved(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    found = {key: value for key, value in schema.items() if key not in _SAID | _SAID_ELSEWHERE}
    if "$ref" in found:
        reference = str(found.pop("$ref"))
        found = {**_resolved(definitions[reference.removeprefix("#/$defs/")], definitions), **found}
    if "const" in found:
        found["enum"] = [found.pop("const")]
    if "enum" in found and "type" not in found and (kinds := {_kind(each) for each in found["enum"]}):
        found |= {"type": kinds.pop()} if len(kinds) == 1 else {}
    return found


def _kind(value: object) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case str():
            return "string"
        case None:
            return "null"
    return "number" if isinstance(value, float) else ""


def _plain(schema: Any) -> Any:
    """Without what says nothing of what is read."""
    if isinstance(schema, dict):
        names_fields = "properties"
        return {
            key: {name: _plain(each) for name, each in value.items()}
            if key == names_fields
            else _plain(value)
            for key, value in schema.items()
            if key not in _SAID
        }
    return [_plain(each) for each in schema] if isinstance(schema, list) else schema


def _other_type(old: Schema, new: Schema, where: str) -> Reading:
    before, after = old["type"], new["type"]
    said = f"{_name(old)} was written, {_name(new)} is read"
    if before == "integer" and after == "number":
        exact = not new.keys() & {"exclusiveMinimum", "exclusiveMaximum", "multipleOf", "enum"}
        return _constraints(old, new, where) if exact else Reading("untold", where, said)
    if before in {"array", "object", "null"} or after in {"array", "object", "null"}:
        return Reading("fails", where, said)
    bare = old.keys() <= {"type"}
    if after == "string" and new.keys() & {"format", "enum", "pattern"}:
        return Reading("untold", where, said)  # some formats are read from numbers
    always = (before, after) in {("integer", "string"), ("number", "string"), ("boolean", "string")}
    some = (before, after) in {
        ("string", "integer"),
        ("string", "number"),
        ("string", "boolean"),
        ("number", "integer"),
        ("number", "boolean"),
        ("integer", "boolean"),
    }
    return Reading("fails" if always or (some and bare) else "untold", where, said)


def _values(old: Schema, new: Schema, where: str) -> Reading:
    """Of one plain type: enumerations and formats."""
    said = f"{_name(old)} was written, {_name(new)} is read"
    if "enum" in new:
        if "enum" not in old:
            return Reading("fails" if old.keys() <= {"type"} else "untold", where, said)
        if gone := [each for each in old["enum"] if each not in new["enum"]]:
            known = old["type"] == "string"
            return Reading(
                "fails" if known else "untold", where, f"{gone[0]!r} is no longer among its values"
            )
        return READS
    before, after = old.get("format"), new.get("format")
    if after is None or before == after:
        return READS
    plain = old.keys() <= {"type"} and after in _TEXTS
    return Reading("fails" if plain else "untold", where, said)


def _constraints(old: Schema, new: Schema, where: str) -> Reading:
    """Bounds that are as they were, or wider."""
    narrower = [
        *(key for key in _UPPER if key in new and (key not in old or old[key] > new[key])),
        *(key for key in _LOWER if key in new and (key not in old or old[key] < new[key])),
        *(key for key in ("pattern", "multipleOf") if key in new and old.get(key) != new[key]),
    ]
    if not narrower:
        return READS
    return Reading("untold", where, f"{', '.join(narrower)} is narrower, or not comparable")


def _keys(old: Schema, new: Schema, where: str) -> Reading:
    before, after = _plain(old), _plain(new)
    if after == {"type": "string"} or (before == after and "$ref" not in json.dumps(after)):
        return READS
    return Reading("untold", where, "keys of another type are not compared")


def _properties(schema: Schema) -> Mapping[str, Any]:
    return dict(_top(schema).get("properties", {}))


def _top(schema: Schema) -> Schema:
    """The model itself: one that contains itself stands among the definitions."""
    return _resolved(schema, schema.get("$defs", {}))


def _type(schema: Schema, definitions: Mapping[str, Schema]) -> str:
    return str(_resolved(schema, definitions).get("type", ""))


def _worst(found: Iterable[Reading]) -> Reading:
    """What can't be read for certain comes before what is not told."""
    return max(found, key=lambda each: _ORDER.index(each.answer), default=READS)


def _below(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _name(schema: Schema) -> str:
    kind = str(schema.get("type", "something"))
    kind = f"{kind} ({schema['format']})" if "format" in schema else kind
    return f"one of {', '.join(map(str, schema['enum']))}" if "enum" in schema else kind
