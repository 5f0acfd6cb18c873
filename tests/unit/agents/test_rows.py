"""Which tables a handler's model can read, and the one form of Debezium's that pydantic alone can't."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from headrace_agents.rows import VALUES, misfits, read_row, unfilled


def model(column: Any, config: ConfigDict | None = None) -> type[BaseModel]:
    return create_model("Row", __config__=config, it=(column, ...))


@pytest.mark.parametrize(
    ("kind", "python"),
    [
        ("bigint", int),
        ("double precision", float),
        ("boolean", bool),
        ("numeric(12, 2)", Decimal),
        ("numeric(12)", int),
        ("text", str),
        ("varchar(20)", Literal["open", "closed"]),
        ("text", int),
        ("integer", Annotated[int, Field(gt=1_000_000)]),
        ("uuid", UUID),
        ("date", date),
        ("date", date | None),
        ("time", time),
        ("timestamptz", datetime),
        ("timestamp(3) with time zone", datetime),
        ("interval", timedelta),
        ("text[]", list[str]),
        ("tsvector", int),
    ],
)
def test_a_model_that_can_read_the_column_fits(kind: str, python: Any) -> None:
    assert list(misfits(model(python), {"it": kind})) == []


@pytest.mark.parametrize(
    ("kind", "python"),
    [
        ("bigint", str),
        ("double precision", int),
        ("numeric(12, 2)", int),
        ("text", dict[str, Any]),
        ("timestamptz", int),
        ("timestamp", date),
        ("date", datetime),
        ("uuid", int),
        ("bigint[]", int),
    ],
)
def test_a_column_of_another_type_is_named(kind: str, python: Any) -> None:
    (said,) = misfits(model(python), {"it": kind})
    assert said.startswith(f"column it, {kind}, which Row can't read: ")


def test_a_missing_column_is_named_and_one_that_has_a_default_is_unfilled() -> None:
    row = create_model("Row", must=(int, ...), may=(int, 0), renamed=(int, Field(alias="old_name")))
    assert unfilled(row, {"id": "bigint"}) == ["may"]
    assert unfilled(row, {"may": "bigint"}) == []
    assert list(misfits(row, {"id": "bigint"})) == [
        "no column must, which Row needs",
        "no column old_name, which Row needs",
    ]


def test_a_column_more_is_named_where_the_model_forbids_it() -> None:
    columns = {"it": "bigint", "more": "text"}
    assert list(misfits(model(int), columns)) == []
    assert list(misfits(model(int, ConfigDict(extra="forbid")), columns)) == [
        "column more, which Row forbids"
    ]


@pytest.mark.parametrize("kind", VALUES)
def test_every_value_can_be_read_as_it_is(kind: str) -> None:
    assert list(misfits(model(Any), {"it": kind})) == []


def test_a_day_is_read_with_its_zone_and_another_text_is_not() -> None:
    read = read_row(model(date | None), {"it": "2026-03-04Z"})
    assert read.model_dump() == {"it": date(2026, 3, 4)}
    for wrong in ("2026-03-04X", "2026-13-04Z", "Z"):
        with pytest.raises(ValidationError):
            read_row(model(date), {"it": wrong})
