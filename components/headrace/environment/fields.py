"""Fields of the declaration: how they are written down, and how they are read back.

What is allowed in a field is written once, where the field stands; errors and the reference in
``docs/`` say it in the same words.
"""

from __future__ import annotations

from types import UnionType
from typing import Any, Union, get_args, get_origin

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


def model_in(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model in ``Model``, ``Model | None`` or ``tuple[Model, ...]``, and whether it is a list's item."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    if get_origin(annotation) in (Union, UnionType, tuple):
        for part in get_args(annotation):
            found, _is_item = model_in(part)
            if found is not None:
                return found, get_origin(annotation) is tuple
    return None, False
