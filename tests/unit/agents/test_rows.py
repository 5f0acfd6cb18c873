"""Which tables a handler's model can read, and the one form of Debezium's that pydantic alone can't."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    RootModel,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)

from headrace_agents.rows import VALUES, misfits, read_partly, read_row, unfilled


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
        ("smallint", bool),
        ("jsonb", Json[list[str]]),
        ("jsonb", Json[int] | None),
        ("jsonb", Annotated[list[str], BeforeValidator(json.loads)]),
        ("text", int | dict[str, int]),
        ("text", Annotated[Decimal, BeforeValidator(lambda text: Decimal(text.replace(",", ".")))]),
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
        ("bigint[]", list[str]),
        ("jsonb", dict[str, Any]),
        ("bigint", str | list[int]),
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


def test_a_field_that_the_models_own_code_may_fill_is_not_missing() -> None:
    class Flat(BaseModel):
        must: int
        may: int = 0

        @model_validator(mode="before")
        @classmethod
        def flat(cls, row: dict[str, Any]) -> dict[str, Any]:
            return {**row, **json.loads(row["body"])}

    assert list(misfits(Flat, {"body": "jsonb"})) == []
    assert unfilled(Flat, {"body": "jsonb"}) == []


def test_a_field_is_filled_by_its_name_too_where_the_model_says_so() -> None:
    class Row(BaseModel):
        model_config = ConfigDict(populate_by_name=True)
        it: int = Field(0, alias="old_name")

    assert unfilled(Row, {"it": "bigint"}) == []
    assert unfilled(Row, {"other": "bigint"}) == ["old_name"]
    assert unfilled(RootModel[dict[str, int]], {"it": "bigint"}) == []


@pytest.mark.parametrize("kind", VALUES)
def test_every_value_can_be_read_as_it_is(kind: str) -> None:
    assert list(misfits(model(Any), {"it": kind})) == []


def test_a_day_is_read_with_its_zone_and_another_text_is_not() -> None:
    read = read_row(model(date | None), {"it": "2026-03-04Z"})
    assert read.model_dump() == {"it": date(2026, 3, 4)}
    for wrong in ("2026-03-04X", "2026-13-04Z", "Z"):
        with pytest.raises(ValidationError):
            read_row(model(date), {"it": wrong})


def test_in_part_each_field_is_read_as_the_model_reads_it() -> None:
    class Row(BaseModel):
        model_config = ConfigDict(populate_by_name=True, coerce_numbers_to_str=True, extra="forbid")
        cents: Decimal = Field(gt=0)
        size: int = Field(0, validation_alias=AliasChoices("length", "width"))
        named: int = Field(0, alias="old_name")
        text: str
        bound: Annotated[int, Field(gt=5)]
        day: date
        sibling: int
        wrong: int

        @field_validator("cents")
        @classmethod
        def in_cents(cls, amount: Decimal) -> Decimal:
            return amount * 100

        @field_validator("sibling")
        @classmethod
        def beside(cls, value: int, info: ValidationInfo) -> int:
            return value + int(info.data["cents"])

    row = {"cents": "1.5", "width": 5, "named": 6, "text": 7, "bound": 1, "day": "2026-03-04Z", "sibling": 8}
    read = read_partly(Row, {**row, "wrong": "x"})
    assert vars(read) == {
        "cents": Decimal(150),
        "size": 5,
        "named": 6,
        "text": "7",
        "bound": 1,
        "day": date(2026, 3, 4),
        "sibling": 8,
        "wrong": "x",
    }
