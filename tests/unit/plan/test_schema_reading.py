"""Whether one model reads what another has written: never said wrongly, on random pairs of models."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, create_model
from pydantic import ValidationError as Invalid

from headrace.plan.schema_reading import Reading, gained, lost, reading
from headrace_agents.shapes import shape_of

PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
# A few values of each type: those where types differ in what they take.
PLAIN: dict[Any, list[Any]] = {
    int: [0, 1, -1, 7, 10**20],
    float: [0.0, 1.0, 0.5, -2.5, 1e300],
    str: ["", "abc", "7", "1.5", "true", "2026-01-01", "low", "x" * 40],
    bool: [False, True],
    Decimal: [Decimal(0), Decimal("1.50"), Decimal("1E+5"), Decimal("-0.001")],
    datetime: [datetime(2026, 1, 1), datetime(2026, 1, 1, 12, 30, 1, 5, tzinfo=UTC)],
    date: [date(2026, 1, 2)],
    timedelta: [timedelta(0), timedelta(days=1, milliseconds=3)],
    UUID: [UUID(int=7)],
    type(None): [None],
}


class Level(StrEnum):
    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True)
class Kind:
    """A type, and values of it."""

    type: Any
    values: tuple[Any, ...] = field(compare=False, repr=False)


def plain(of: Any) -> Kind:
    return Kind(of, tuple(PLAIN[of]))


def literal(*values: str | int) -> Kind:
    return Kind(Literal[values], values)


def bounded(of: Any, **bounds: Any) -> Kind:
    """With the values that keep to the bounds."""
    annotated = Annotated[of, Field(**bounds)]
    model = create_model("Bounded", it=(annotated, ...))
    return Kind(annotated, tuple(value for value in PLAIN[of] if reads(model, json.dumps({"it": value}))))


def many(of: Kind, container: Any, **bounds: Any) -> Kind:
    values = [container(), *(container([value]) for value in of.values), container(of.values[:2])]
    kept = [v for v in values if bounds.get("min_length", 0) <= len(v) <= bounds.get("max_length", 99)]
    return Kind(Annotated[container[of.type], Field(**bounds)] if bounds else container[of.type], tuple(kept))


def mapping(keys: Kind, of: Kind) -> Kind:
    pairs = ({key: value} for key, value in zip(itertools.cycle(keys.values), of.values, strict=False))
    return Kind(dict[keys.type, of.type], ({}, *pairs))


def either(one: Kind, other: Kind) -> Kind:
    return Kind(one.type | other.type, (*one.values, *other.values))


@dataclass(frozen=True)
class Model:
    """A model by its fields; a field has a default or not."""

    fields: tuple[tuple[str, Kind, bool], ...]
    extra: Literal["ignore", "allow", "forbid"] = "ignore"

    def made(self) -> type[BaseModel]:
        fields: dict[str, Any] = {
            name: (kind.type, kind.values[0] if has_default else ...) for name, kind, has_default in self.fields
        }
        return create_model("Memory", __config__=ConfigDict(extra=self.extra), **fields)

    def kind(self) -> Kind:
        made = self.made()
        return Kind(made, tuple(self.instances(made)))

    def instances(self, made: type[BaseModel]) -> Iterator[BaseModel]:
        """Each value of each field once, the others at their first."""
        usual = {name: kind.values[0] for name, kind, _ in self.fields}
        yield made.model_construct(**usual)
        for name, kind, _ in self.fields:
            for value in kind.values:
                yield made.model_construct(**{**usual, name: value})


def reads(model: type[BaseModel], text: str) -> bool:
    try:
        model.model_validate_json(text)
    except Invalid:
        return False
    return True


SIMPLE = (
    *(plain(of) for of in PLAIN if of is not type(None)),
    literal("low", "high"),
    literal("low", "high", "7"),
    literal("low"),
    literal(1, 7),
    Kind(Level, tuple(Level)),
    bounded(int, ge=0),
    bounded(int, ge=-1, le=7),
    bounded(float, gt=-3),
    bounded(str, max_length=10),
    bounded(str, min_length=1),
    bounded(str, pattern="^[a-z0-9.]*$"),
    Kind(AwareDatetime, (datetime(2026, 1, 1, tzinfo=UTC),)),
    Kind(Any, (None, 1, "a", [1], {"a": 1})),
)
HASHABLE = (plain(int), plain(str), plain(float), literal("low", "high"))
KEYS = (plain(str), plain(int), literal("low", "high"))


@st.composite
def kinds(draw: st.DrawFn, depth: int = 2) -> Kind:
    shape = draw(st.sampled_from(SHAPES if depth else ("simple",)))
    one = draw(kinds(depth - 1)) if shape in {"optional", "list", "one", "mapping", "tuple", "tuples"} else NONE
    match shape:
        case "optional":
            return either(one, NONE)
        case "union":
            return either(draw(st.sampled_from(SIMPLE)), draw(st.sampled_from(SIMPLE)))
        case "list":
            return many(one, list)
        case "one":
            return many(one, list, max_length=1)
        case "set":
            return many(draw(st.sampled_from(HASHABLE)), set)
        case "mapping":
            return mapping(draw(st.sampled_from(KEYS)), one)
        case "tuple":
            other = draw(st.sampled_from(SIMPLE))
            values = zip(one.values, itertools.cycle(other.values), strict=False)
            return Kind(tuple[one.type, other.type], tuple(values))
        case "tuples":
            return Kind(tuple[one.type, ...], ((), *((value,) for value in one.values)))
        case "model":
            return draw(models(depth - 1)).kind()
    return draw(st.sampled_from(SIMPLE))


NONE = plain(type(None))
SHAPES = ("simple", "simple", "simple", "optional", "union", "list", "one", "set", "mapping", "tuple", "tuples", "model")


@st.composite
def models(draw: st.DrawFn, depth: int = 2) -> Model:
    names = draw(st.sampled_from(["a", "ab", "abc"]))
    fields = tuple((name, draw(kinds(depth)), draw(st.booleans())) for name in names)
    return Model(fields, draw(st.sampled_from(["ignore", "ignore", "allow", "forbid"])))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Model, Model]:
    """An old model and a new one: any other, or the old one with something different."""
    old = draw(models())
    if draw(st.integers(0, 3)) == 0:
        return old, draw(models())
    fields = list(old.fields)
    at = draw(st.integers(0, len(fields) - 1))
    match draw(st.sampled_from(["other type", "gone", "more", "forbids", "same", "optional", "default"])):
        case "other type":
            fields[at] = (fields[at][0], draw(kinds()), fields[at][2])
        case "gone":
            del fields[at]
        case "more":
            fields.append(("z", draw(kinds()), draw(st.booleans())))
        case "forbids":
            return old, replace(old, extra=draw(st.sampled_from(["ignore", "allow", "forbid"])))
        case "optional":
            fields[at] = (fields[at][0], either(fields[at][1], plain(type(None))), fields[at][2])
        case "default":
            fields[at] = (fields[at][0], fields[at][1], not fields[at][2])
    return old, replace(old, fields=tuple(fields))


def dumps(model: Model) -> Iterator[str]:
    """Of instances that the model itself reads back, as the runtime demands of what it keeps."""
    made = model.made()
    for instance in model.instances(made):
        text = instance.model_dump_json(warnings=False)
        if reads(made, text):
            yield text


@settings(max_examples=400, deadline=None, phases=PHASES)
@given(pairs())
def test_what_is_said_of_a_reading_is_true(pair: tuple[Model, Model]) -> None:
    old, new = pair
    made = new.made()
    found = reading(shape_of(old.made()), shape_of(made))
    event(found.answer)
    written = list(dumps(old))
    unread = [text for text in written if not reads(made, text)]
    if found.answer == "reads":
        assert not unread, found
    if found.answer == "fails":
        assert unread, found


@settings(max_examples=200, deadline=None)
@given(models())
def test_a_model_without_secrets_reads_itself(model: Model) -> None:
    shape = shape_of(model.made())
    assert reading(shape, shape).answer == ("untold" if shape.untold else "reads")
