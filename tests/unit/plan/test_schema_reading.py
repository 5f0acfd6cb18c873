"""Whether one model reads what another has written: never said wrongly, on random pairs of models."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    create_model,
)
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
    datetime: [datetime.fromisoformat("2026-01-01T00:00:00"), datetime(2026, 1, 1, 12, 30, 1, 5, tzinfo=UTC)],
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


def generic(container: Any, *of: Any) -> Any:
    return container[of]


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
    return Kind(generic(dict, keys.type, of.type), ({}, *pairs))


def either(one: Kind, other: Kind) -> Kind:
    return Kind(one.type | other.type, (*one.values, *other.values))


@dataclass(frozen=True)
class Model:
    """A model by its fields; a field has a default or not."""

    fields: tuple[tuple[str, Kind, bool], ...]
    extra: Literal["ignore", "allow", "forbid"] = "ignore"

    def made(self) -> type[BaseModel]:
        fields: dict[str, Any] = {
            name: (kind.type, kind.values[0] if has_default else ...)
            for name, kind, has_default in self.fields
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
    literal("7"),
    literal("2026-01-01"),
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
EXTRA: tuple[Literal["ignore", "allow", "forbid"], ...] = ("ignore", "allow", "forbid")
HASHABLE = (plain(int), plain(str), plain(float), literal("low", "high"))
KEYS = (plain(str), plain(int), literal("low", "high"))


@st.composite
def kinds(draw: st.DrawFn, depth: int = 2) -> Kind:
    if depth == 0:
        return draw(st.sampled_from(SIMPLE))
    made = draw(st.sampled_from(SHAPES))
    return made(draw, depth - 1)


def _tuple(one: Kind, other: Kind) -> Kind:
    values = zip(one.values, itertools.cycle(other.values), strict=False)
    return Kind(generic(tuple, one.type, other.type), tuple(values))


def _tuples(of: Kind) -> Kind:
    return Kind(generic(tuple, of.type, ...), ((), *((value,) for value in of.values)))


NONE = plain(type(None))
SHAPES: tuple[Callable[[st.DrawFn, int], Kind], ...] = (
    *[lambda draw, _: draw(st.sampled_from(SIMPLE))] * 3,
    lambda draw, depth: either(draw(kinds(depth)), NONE),
    lambda draw, _: either(draw(st.sampled_from(SIMPLE)), draw(st.sampled_from(SIMPLE))),
    lambda draw, depth: many(draw(kinds(depth)), list),
    lambda draw, depth: many(draw(kinds(depth)), list, max_length=1),
    lambda draw, _: many(draw(st.sampled_from(HASHABLE)), set),
    lambda draw, depth: mapping(draw(st.sampled_from(KEYS)), draw(kinds(depth))),
    lambda draw, depth: _tuple(draw(kinds(depth)), draw(st.sampled_from(SIMPLE))),
    lambda draw, depth: _tuples(draw(kinds(depth))),
    lambda draw, depth: draw(_models(depth)).kind(),
)


def _models(depth: int) -> st.SearchStrategy[Model]:
    return models(depth)


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


def check(old: Model, new: Model) -> Reading:
    """That what is said of the reading is so."""
    made = new.made()
    found = reading(shape_of(old.made()), shape_of(made))
    unread = [text for text in dumps(old) if not reads(made, text)]
    if found.answer == "reads":
        assert not unread, (old, new, found)
    if found.answer == "fails":
        assert unread, (old, new, found)
    return found


@settings(max_examples=300, deadline=None, phases=PHASES)
@given(pairs())
def test_what_is_said_of_a_reading_is_true(pair: tuple[Model, Model]) -> None:
    event(check(*pair).answer)


def test_what_is_said_is_true_of_each_type_beside_each_other_type() -> None:
    some = (plain(int), plain(str), literal("low", "high"))
    groups = (
        (*SIMPLE, *(either(one, NONE) for one in some), either(plain(int), plain(str))),
        (
            *(many(of, container) for of in HASHABLE for container in (list, set)),
            many(plain(int), list, max_length=1),
        ),
        (*(mapping(keys, of) for keys in KEYS for of in some), Kind(dict, ({}, {"a": 1}))),
        (
            *(
                Model((("a", of, has),), extra).kind()
                for of in some
                for has in (True, False)
                for extra in EXTRA
            ),
        ),
    )
    said = Counter(
        check(Model((("it", old, True),)), Model((("it", new, True),))).answer
        for group in groups
        for old in group
        for new in group
    )
    assert min(said[answer] for answer in ("reads", "untold", "fails")) > 100, said


@settings(max_examples=200, deadline=None)
@given(models())
def test_a_model_without_secrets_reads_itself(model: Model) -> None:
    shape = shape_of(model.made())
    assert reading(shape, shape).answer == ("untold" if shape.untold else "reads")


class Inner(BaseModel):
    amount: int = 0


class Outer(BaseModel):
    inner: dict[str, Inner] = {}
    note: str = ""


class InnerText(BaseModel):
    amount: str = ""


class OuterText(BaseModel):
    inner: dict[str, InnerText] = {}
    note: str = ""


class Tree(BaseModel):
    children: list[Tree] = []
    weight: int = 0


class TallTree(BaseModel):
    children: list[TallTree] = []
    weight: float = 0


class NotedTree(BaseModel):
    children: list[NotedTree] = []
    weight: list[int] = []


class Normalising(BaseModel):
    note: Annotated[str, BeforeValidator(str)] = ""


class Refusing(BaseModel):
    note: Annotated[str, AfterValidator(str.strip)] = ""


def said(old: type[BaseModel], new: type[BaseModel]) -> Reading:
    return reading(shape_of(old), shape_of(new))


def test_the_place_of_what_can_not_be_read_is_told_within_models() -> None:
    why = "integer was written, string is read"
    assert said(Outer, OuterText) == Reading("fails", "inner.*.amount", why)


def test_models_that_contain_themselves_are_compared_to_the_end() -> None:
    assert said(Tree, TallTree).answer == "reads"
    assert said(Tree, NotedTree) == Reading("fails", "weight", "integer was written, array is read")


def test_validators_make_neither_a_promise_nor_a_refusal() -> None:
    assert said(Outer, Refusing).answer == "untold"
    found = said(Inner, Normalising)
    assert (found.answer, "Normalising.note: function-before" in found.why) == ("untold", True)


def test_fields_that_come_and_go_are_named() -> None:
    old, new = shape_of(Outer), shape_of(Inner)
    assert (lost(old, new), gained(old, new)) == (("inner", "note"), ("amount",))
    assert lost(shape_of(Tree), shape_of(NotedTree)) == ()


@pytest.mark.parametrize(
    ("old", "new", "answer"),
    [
        (int, float, "reads"),
        (float, int, "fails"),
        (int, int | None, "reads"),
        (int | None, int, "fails"),
        (Literal["a"], Literal["a", "b"], "reads"),
        (Literal["a", "b"], Literal["a"], "fails"),
        (str, Literal["a"], "fails"),
        (Decimal, str, "reads"),
        (str, Decimal, "fails"),
        (datetime, AwareDatetime, "untold"),
        (str, datetime, "fails"),
        (int, datetime, "untold"),
        (dict[str, int], dict[int, int], "untold"),
        (dict[int, int], dict[str, int], "reads"),
        (list[int], set[int], "untold"),
        (int, Annotated[int, Field(ge=0)], "untold"),
        (Annotated[int, Field(ge=1)], Annotated[int, Field(ge=0)], "reads"),
    ],
)
def test_types_are_compared_as_pydantic_reads_json(old: Any, new: Any, answer: str) -> None:
    one, other = (create_model("Memory", it=(of, ...)) for of in (old, new))
    assert said(one, other).answer == answer
