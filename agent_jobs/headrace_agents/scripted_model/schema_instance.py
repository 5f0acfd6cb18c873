"""The smallest instance of a JSON schema, built the same way each time.

Covers what pydantic and OpenAI's structured output write. What it can't fulfil (``pattern``, ``not``,
...) is refused by name: a wrong instance would look like a fault of the agent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

_UNSUPPORTED = (
    "pattern",
    "patternProperties",
    "not",
    "if",
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "propertyNames",
    "minProperties",
)
_FORMATS = {
    "date-time": "1970-01-01T00:00:00Z",
    "date": "1970-01-01",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "email": "a@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-0000-0000-000000000000",
}

Schema = Mapping[str, Any]


class UnsupportedSchemaError(ValueError):
    """The schema, or the part of it at ``path``, can't be fulfilled here."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")


def instance(schema: Schema, hints: Mapping[str, str]) -> Any:
    """A JSON value that fits ``schema``.

    ``hints`` are values for properties by name, at any depth; each is used where its property's schema
    accepts it, whether or not the property is required.

    Raises:
        UnsupportedSchemaError: naming the place and the keyword.
    """
    return _Builder(schema, hints).build(schema, "$", frozenset())


class _Builder:
    def __init__(self, root: Schema, hints: Mapping[str, str]) -> None:
        self._root = root
        self._hints = hints

    def build(self, schema: Schema | bool, path: str, open_refs: frozenset[str]) -> Any:
        """``open_refs``: references being followed; meeting one again means endless recursion."""
        if isinstance(schema, bool):
            return self._anything(schema, path)
        for keyword in _UNSUPPORTED:
            if keyword in schema:
                raise UnsupportedSchemaError(path, f"{keyword!r} is not supported by the scripted model")
        if "$ref" in schema:
            reference = schema["$ref"]
            if reference in open_refs:
                raise UnsupportedSchemaError(path, f"{reference} never ends")
            return self.build(self._resolve(reference, path), path, open_refs | {reference})
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        for keyword in ("anyOf", "oneOf", "allOf"):
            if keyword in schema:
                return self._branch(schema[keyword], keyword, path, open_refs)
        return self._typed(schema, path, open_refs)

    def _anything(self, allowed: bool, path: str) -> None:
        if not allowed:
            raise UnsupportedSchemaError(path, "nothing is allowed here")

    def _resolve(self, reference: str, path: str) -> Schema:
        found: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            if not isinstance(found, Mapping) or step not in found:
                raise UnsupportedSchemaError(path, f"{reference} points nowhere")
            found = found[step]
        return found  # type: ignore[no-any-return]  # what a reference in a schema points to is a schema

    def _branch(self, branches: list[Schema], keyword: str, path: str, open_refs: frozenset[str]) -> Any:
        if keyword == "allOf" and len(branches) > 1:
            raise UnsupportedSchemaError(
                path, "'allOf' of several schemas is not supported by the scripted model"
            )
        problem = UnsupportedSchemaError(path, f"{keyword!r} is empty")
        for branch in branches:
            try:
                return self.build(branch, path, open_refs)
            except UnsupportedSchemaError as unsupported:
                problem = unsupported
        raise problem

    def _typed(self, schema: Schema, path: str, open_refs: frozenset[str]) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else "null")
        match kind[0] if isinstance(kind, list) else kind:
            case "object":
                return self._object(schema, path, open_refs)
            case "array":
                return self._array(schema, path, open_refs)
            case "string":
                return _FORMATS.get(schema.get("format", ""), "a" * schema.get("minLength", 0))
            case "integer" | "number" as numeric:
                return _number(schema, numeric == "integer", path)
            case "boolean":
                return False
            case "null":
                return None
            case other:
                raise UnsupportedSchemaError(path, f"type {other!r} is unknown")

    def _object(self, schema: Schema, path: str, open_refs: frozenset[str]) -> dict[str, Any]:
        declared = schema.get("properties", {})
        built: dict[str, Any] = {}
        for name in dict.fromkeys([*declared, *schema.get("required", ())]):
            described = declared.get(name, schema.get("additionalProperties", True))
            hint = self._hints.get(name)
            if hint is not None and name in declared and self._accepts(described, hint):
                built[name] = hint
            elif name in schema.get("required", ()):
                built[name] = self.build(described, f"{path}.{name}", open_refs)
        return built

    def _array(self, schema: Schema, path: str, open_refs: frozenset[str]) -> list[Any]:
        length = schema.get("minItems", 0)
        if length > 1 and schema.get("uniqueItems"):
            raise UnsupportedSchemaError(path, "'uniqueItems' is not supported by the scripted model")
        first = schema.get("prefixItems", ())
        items = [*first, *[schema.get("items", True)] * (length - len(first))]
        return [self.build(item, f"{path}[{i}]", open_refs) for i, item in enumerate(items[:length])]

    def _accepts(self, schema: Schema | bool, value: str) -> bool:
        if isinstance(schema, bool):
            return schema
        if "$ref" in schema:
            return self._accepts(self._resolve(schema["$ref"], "$"), value)
        for keyword in ("anyOf", "oneOf", "allOf"):
            if keyword in schema:
                return any(self._accepts(branch, value) for branch in schema[keyword])
        if "const" in schema or "enum" in schema:
            return value in schema.get("enum", [schema.get("const")])
        return (
            "string" in schema.get("type", ())
            and not {"format", *_UNSUPPORTED} & schema.keys()
            and schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf)
        )


def _number(schema: Schema, integer: bool, path: str) -> float:
    """0 if it fits, else the value nearest to a bound."""
    for candidate in _number_candidates(schema, integer):
        if _number_fits(schema, candidate):
            return candidate
    raise UnsupportedSchemaError(path, "no number was found within the bounds")


def _number_candidates(schema: Schema, integer: bool) -> Iterator[float]:
    yield 0
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    step = schema.get("multipleOf", 1 if integer else None)
    for bound in (low, high):
        if bound is not None:
            yield from _near(bound, step)
    if low is not None and high is not None and not integer:
        yield (low + high) / 2


def _near(bound: float, step: float | None) -> tuple[float, ...]:
    if step is None:
        return bound, bound + 1, bound - 1
    steps = math.ceil(bound / step)
    return tuple((steps + side) * step for side in (0, 1, -1, -2))


def _number_fits(schema: Schema, value: float) -> bool:
    step = schema.get("multipleOf")
    return (
        schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
        and schema.get("exclusiveMinimum", -math.inf) < value < schema.get("exclusiveMaximum", math.inf)
        and (step is None or math.isclose(value / step, round(value / step), abs_tol=1e-9))
    )
