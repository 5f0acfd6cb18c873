"""A row as Debezium writes it, read by a handler's model; and whether it can read a table's rows at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple, cast

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError, create_model, field_validator
from pydantic_core import ErrorDetails

_MOMENT = "2026-03-04T05:06:07.000009"
VALUES: Mapping[str, object] = {
    **dict.fromkeys(("smallint", "integer", "int", "bigint", "int2", "int4", "int8", "oid"), 1),
    **dict.fromkeys(("smallserial", "serial", "bigserial"), 1),
    **dict.fromkeys(("real", "double precision", "float4", "float8"), 1.25),
    **dict.fromkeys(("boolean", "bool"), True),
    **dict.fromkeys(("numeric", "decimal"), "12345"),
    "money": "12345.00",
    **dict.fromkeys(
        ("text", "character varying", "varchar", "character", "char", "bpchar", "name"), "a text"
    ),
    **dict.fromkeys(("citext", "xml", "inet", "cidr", "macaddr", "macaddr8", "ltree"), "a text"),
    **dict.fromkeys(("json", "jsonb"), "{}"),
    "uuid": "6f1f2f0c-7ad4-4d6e-9a55-8c7a3f6c1a2b",
    "bytea": "AAEC",
    "date": "2026-03-04Z",
    **dict.fromkeys(("time", "time without time zone"), "05:06:07.000009Z"),
    **dict.fromkeys(("timetz", "time with time zone"), "05:06:07.000009Z"),
    **dict.fromkeys(("timestamp", "timestamp without time zone"), f"{_MOMENT}Z"),
    **dict.fromkeys(("timestamptz", "timestamp with time zone"), f"{_MOMENT}Z"),
    "interval": "P0Y1M2DT3H4M5S",
}
"""As PostgreSQL names its types, without length and scale -> a value in a record, as the plan's connector
writes it: ``decimal.handling.mode`` string, ``time.precision.mode`` isostring, ``interval.handling.mode``
string, ``binary.handling.mode`` base64."""
_OPEN = frozenset(
    kind
    for kind, value in VALUES.items()
    if value in ("a text", "{}") or kind in ("numeric", "decimal", "money")
)
"""What their values say is up to who writes them: another text may be read where this one is not."""
_DAY = re.compile(r"\d{4,}-\d\d-\d\dZ")
_SCALE = re.compile(r"\((\d+)(?:, ?(\d+))?\)")
_NOT_ONE_VALUE = ("int_from_float", "date_from_datetime_inexact")
"""Errors of a type that do not say so by their end."""


def read_row(model: type[BaseModel], row: Mapping[str, Any]) -> BaseModel:
    """`row` as the model has it. Raises ValidationError, and what else validators of the model's own raise.

    A ``date`` is written with a zone, ``2026-03-04Z``, which pydantic does not take for one.
    """
    try:
        return model.model_validate(row)
    except ValidationError as error:
        days = {
            name: value[:-1]
            for found in error.errors(include_url=False, include_context=False)
            if len(found["loc"]) == 1
            and isinstance(value := row.get(name := str(found["loc"][0])), str)
            and found["type"].startswith("date_")
            and _DAY.fullmatch(value)
        }
        if not days:
            raise
    return model.model_validate({**row, **days})


def read_partly(model: type[BaseModel], row: Mapping[str, Any]) -> BaseModel:
    """As :func:`read_row`, with each value that does not fit as it came. A field that has neither value nor
    default is not there: who reads it gets an AttributeError. Validators of the whole model are left out, and
    those of a field see no other field's value.

    Raises what :func:`read_row` does for a RootModel, which has no fields of its own.
    """
    try:
        return read_row(model, row)
    except Exception:
        if issubclass(model, RootModel):
            raise
    values: dict[str, Any] = {}
    for name, alone in _alone(model).items():
        try:
            values[name] = getattr(read_row(alone, row), name)
        except ValidationError as error:
            column = str(error.errors(include_url=False, include_context=False)[0]["loc"][0])
        except Exception:  # noqa: BLE001 - of a validator, which may raise whatever it likes
            column = model.model_fields[name].alias or name
        else:
            continue
        if column in row:
            values[name] = row[column]
    return model.model_construct(**values)


@lru_cache
def _alone(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """By field: a model of it alone, which reads it as `model` does, by its aliases and validators."""
    config = model.model_config | ConfigDict(extra="ignore")
    validators = model.__pydantic_decorators__.field_validators
    return {
        name: create_model(
            model.__name__,
            __config__=config,
            __validators__={
                each: field_validator(name, mode=found.info.mode)(staticmethod(found.func))
                for each, found in validators.items()
                if name in found.info.fields or "*" in found.info.fields
            },
            **{name: cast(Any, (field.annotation, field))},
        )
        for name, field in model.model_fields.items()
    }


def misfits(model: type[BaseModel], columns: Mapping[str, str]) -> Iterator[str]:
    """What `model` can't read of a table with `columns`, name -> PostgreSQL's type; nothing where it fits.

    It reads a row made up of one value of each column. What a value alone decides is not looked at: a bound,
    an enum, a number in a text, what is in a JSON column. Columns of a type that is not known here are taken
    to fit, and so is a row that the model's own code fails at: what it does with another is not known.
    """
    made = {name: made_of(kind) for name, kind in columns.items()}
    try:
        read_row(model, {name: None if value is None else value.json for name, value in made.items()})
    except ValidationError as error:
        errors = error.errors(include_url=False)
    except Exception:  # noqa: BLE001 - of a validator, which may raise whatever it likes
        return
    else:
        return
    is_as_it_came = not _is_changed_before(model)
    for name, of_name in groupby(errors, lambda found: str(found["loc"][0]) if found["loc"] else ""):
        found, *others = of_name
        if found["type"] == "missing" and len(found["loc"]) == 1:
            if is_as_it_came:
                yield f"no column {name}, which {model.__name__} needs"
        elif found["type"] == "extra_forbidden" and name in columns:
            yield f"column {name}, which {model.__name__} forbids"
        elif (value := made.get(name)) is not None and _is_of_type((found, *others), value):
            yield f"column {name}, {columns[name]}, which {model.__name__} can't read: {found['msg']}"


def unfilled(model: type[BaseModel], columns: Mapping[str, str]) -> list[str]:
    """Columns that fields of `model` are for, and that are not there: these fields keep their defaults."""
    if issubclass(model, RootModel) or _is_changed_before(model):
        return []
    by_name = model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")
    names = {
        name if field.validation_alias is None else field.validation_alias
        for name, field in model.model_fields.items()
        if not field.is_required() and not (by_name and name in columns)
    }
    return sorted(name for name in names if isinstance(name, str) and name not in columns)


def _is_changed_before(model: type[BaseModel]) -> bool:
    """Whether code of the model's own sees a row before its fields do, and may fill them."""
    validators = model.__pydantic_decorators__.model_validators.values()
    return any(each.info.mode in ("before", "wrap") for each in validators)


class Made(NamedTuple):
    """A column's value in a record."""

    json: Any
    is_open: bool
    """Whether another value of the type may be read where this one is not."""


def made_of(kind: str) -> Made | None:
    """Of a type as PostgreSQL names it, with length and scale; None of one that is not known here."""
    element = kind.removesuffix("[]")
    scale = _SCALE.search(element)
    # "timestamp(3) with time zone" has its precision in the middle.
    base = " ".join(_SCALE.sub("", element).split())
    if base not in VALUES:
        return None
    made = Made(VALUES[base], base in _OPEN)
    if base in ("numeric", "decimal") and scale and int(scale[2] or 0):
        made = Made("12.5", False)
    return made if element == kind else Made([made.json], made.is_open)


def _is_of_type(errors: Iterable[ErrorDetails], value: Made) -> bool:
    """Whether every value of the column's type would be refused like this one: each branch of a union says
    so, of the value as it came and not of what a validator or a JSON text made of it.
    """
    parts = [value.json, *(value.json if isinstance(value.json, list) else ())]
    return all(
        any(found["input"] is part for part in parts)
        and (
            found["type"].endswith("_type")
            or found["type"] in _NOT_ONE_VALUE
            or (found["type"].endswith("_parsing") and not value.is_open)
        )
        for found in errors
    )
