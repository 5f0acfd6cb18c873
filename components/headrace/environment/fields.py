"""Fields of the declaration: how they are written down, and how they are read back.

What is allowed in a field is written once, where the field stands; errors and the reference in
``docs/`` say it in the same words.
"""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo


def declared(allowed: str, meaning: str, *, secret: bool = False, **options: Any) -> Any:
    """A field: what may be written there, what it means, and pydantic's own options."""
    return Field(description=meaning, json_schema_extra={"allowed": allowed, "secret": secret}, **options)


def what_is_allowed(field: FieldInfo) -> str | None:
    """What may be written in a field; ``None`` for what nobody writes, the environment's name."""
    extra = field.json_schema_extra
    return str(extra["allowed"]) if isinstance(extra, dict) else None


def is_secret(field: FieldInfo) -> bool:
    """Whether errors may not quote what was written there."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra["secret"])


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models in ``Model``, ``Model | None``, ``tuple[Model, ...]``, or of each kind of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Annotated, Union, UnionType, tuple):
        return [model for part in get_args(annotation) for model in models_in(part)]
    return []


def is_list(annotation: Any) -> bool:
    """Whether the field holds a list."""
    inner = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return get_origin(inner) is tuple


def kind_of(model: type[BaseModel]) -> str | None:
    """What a model of a union is told apart by: the only value of its field ``kind``."""
    field = model.model_fields.get("kind")
    return str(get_args(field.annotation)[0]) if field else None
