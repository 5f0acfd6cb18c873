"""Pydantic models as JSON schemas, with what these schemas do not tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from headrace_agents.manifest import Shape

KEYS = "x-keys"
DECIMAL = "decimal"


def shape_of(model: type[BaseModel]) -> Shape:
    """The model's schemas. One that has none has empty ones, and that is among the untold."""
    try:
        model.model_rebuild()
        read, written = _schema(model, "validation"), _schema(model, "serialization")
    except PydanticUserError as error:
        why = f"no JSON schema: {str(error).splitlines()[0]}"
        return Shape(name=model.__name__, read={}, written={}, untold=(why,))
    untold = tuple(sorted(set(_untold(model.__pydantic_core_schema__, model.__name__))))
    return Shape(name=model.__name__, read=read, written=written, untold=untold)


class _Schemas(GenerateJsonSchema):
    """Tells keys of mappings and decimal numbers in texts, which pydantic's schemas leave out."""

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        found = super().dict_schema(schema)
        if keys := schema.get("keys_schema"):
            found[KEYS] = self.generate_inner(keys)
        return found

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        found = super().decimal_schema(schema)
        for each in found.get("anyOf", [found]):
            if each.get("type") == "string":
                each["format"] = DECIMAL
        return found

    def emit_warning(self, kind: Any, detail: str) -> None:
        """Of defaults that JSON can't hold: they are left out."""


def _schema(model: type[BaseModel], mode: JsonSchemaMode) -> dict[str, Any]:
    # Memory is written by fields' names and read by their aliases.
    by_alias = mode == "validation"
    return model.model_json_schema(by_alias=by_alias, mode=mode, schema_generator=_Schemas)


_NUMBER = frozenset({"gt", "ge", "lt", "le", "multiple_of"})
_SIZE = frozenset({"min_length", "max_length"})
_TOLD: Mapping[str, frozenset[str]] = {
    "definitions": frozenset({"schema", "definitions"}),
    "definition-ref": frozenset({"schema_ref"}),
    "model": frozenset({"schema", "cls", "config", "custom_init", "root_model"}),
    "model-fields": frozenset({"fields", "computed_fields", "model_name"}),
    "model-field": frozenset({"schema"}),
    "default": frozenset({"schema", "default", "default_factory", "default_factory_takes_data"}),
    "nullable": frozenset({"schema"}),
    "union": frozenset({"choices"}),
    "list": _SIZE | {"items_schema"},
    "set": _SIZE | {"items_schema"},
    "frozenset": _SIZE | {"items_schema"},
    "tuple": frozenset({"items_schema", "variadic_item_index"}),
    "dict": _SIZE | {"keys_schema", "values_schema"},
    "int": _NUMBER,
    "float": _NUMBER,
    "str": _SIZE | {"pattern"},
    "bool": frozenset(),
    "none": frozenset(),
    "any": frozenset(),
    "decimal": frozenset(),
    "date": frozenset(),
    "time": frozenset({"microseconds_precision"}),
    "datetime": frozenset({"microseconds_precision"}),
    "timedelta": frozenset({"microseconds_precision"}),
    "uuid": frozenset(),
    "literal": frozenset({"expected"}),
    "enum": frozenset({"cls", "members", "sub_type"}),
}
"""Kinds of pydantic's core schemas, and what of them a JSON schema tells. All else counts as untold: what a
later pydantic adds, too."""
_EVERYWHERE = frozenset({"type", "ref", "metadata"})
_CONFIG = frozenset({"title", "extra_fields_behavior", "frozen", "validate_assignment", "from_attributes"})
_SAID_BY_HAND = frozenset({"pydantic_js_annotation_functions", "pydantic_js_extra"})
"""Metadata by which an author gives another JSON schema than the type's."""


def _untold(node: Any, where: str) -> Iterator[str]:
    kind = str(node["type"])
    if kind not in _TOLD:
        yield f"{where}: {kind}"
        return
    yield from (f"{where}: {key}" for key in node.keys() - _TOLD[kind] - _EVERYWHERE)
    if any(node.get("metadata", {}).get(key) for key in _SAID_BY_HAND):
        yield f"{where}: a JSON schema of its own"
    yield from _untold_of_model(node, where)
    for below, child in _children(node):
        yield from _untold(child, f"{where}.{below}" if below else where)


def _untold_of_model(node: Any, where: str) -> Iterator[str]:
    if node["type"] == "model":
        yield from (f"{where}: {key}" for key in node.get("config", {}).keys() - _CONFIG)
        yield from (f"{where}: {key}" for key in ("custom_init", "root_model") if node.get(key))
        own = node["cls"].__get_pydantic_json_schema__.__func__
        if own is not BaseModel.__get_pydantic_json_schema__.__func__:  # type: ignore[attr-defined]
            yield f"{where}: a JSON schema of its own"
    if node["type"] == "model-fields" and node.get("computed_fields"):
        yield f"{where}: computed fields"


def _children(node: Any) -> Iterator[tuple[str, Any]]:
    for key in ("schema", "keys_schema", "values_schema"):
        if isinstance(node.get(key), dict):
            yield "", node[key]
    items = node.get("items_schema", ())
    yield from (("", each) for each in ([items] if isinstance(items, dict) else items))
    for choice in node.get("choices", ()):
        yield "", choice[0] if isinstance(choice, tuple) else choice
    for each in node.get("definitions", ()):
        yield each["cls"].__name__ if "cls" in each else "", each
    yield from node.get("fields", {}).items()
