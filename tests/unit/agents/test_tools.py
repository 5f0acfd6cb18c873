"""Functions as tools: what a model is told of them, and what it is told when it calls them."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from pydantic_core import to_json

from headrace_agents import ToolError
from headrace_agents.tools import Tool

KEY = "k1"


class Kind(StrEnum):
    CARD = "card"
    CASH = "cash"


class Line(BaseModel):
    item: str
    count: int = 1


@dataclass
class Found:
    order: int
    on: date


def lookup(order: Annotated[int, Field(description="its number", ge=1)], lines: bool = False) -> Found:
    """Finds an order.

    Only open ones.
    """
    assert not lines
    return Found(order, date(2026, 1, 2))


class Shop:
    paid: Literal["never", "later"] = "later"

    async def refund(self, order: int, *, how: Kind = Kind.CARD, note: str | None = None) -> str:
        """Pays back."""
        await asyncio.sleep(0)
        return f"{order} by {how.value}, {note}, {self.paid}"

    @classmethod
    def closed(cls) -> bool:
        return cls.paid == "never"


def call(function: Callable[..., Any], arguments: str) -> str:
    return asyncio.run(Tool.of(function).call(arguments, KEY))


def test_name_description_and_schema_come_from_the_function() -> None:
    schema = Tool.of(lookup).schema

    assert (schema.name, schema.description) == ("lookup", "Finds an order.\n\nOnly open ones.")
    order = {"title": "Order", "description": "its number", "type": "integer", "minimum": 1}
    assert schema.parameters == {
        "title": "lookup",
        "type": "object",
        "additionalProperties": False,
        "properties": {"order": order, "lines": {"title": "Lines", "type": "boolean"}},
        "required": ["order"],
    }


def test_a_result_is_told_as_json_and_text_as_it_is() -> None:
    assert call(lookup, '{"order": 7}') == '{"order":7,"on":"2026-01-02"}'
    assert call(Shop().refund, '{"order": 7}') == "7 by card, None, later"
    assert call(Shop.closed, "") == "false"


def test_arguments_become_values_of_their_types() -> None:
    given_kinds: list[object] = []

    def pay(lines: list[Line], how: Kind, on: date) -> None:
        given_kinds.extend([lines, how, on])

    assert call(pay, '{"lines": [{"item": "a"}], "how": "cash", "on": "2026-01-02"}') == "null"
    assert given_kinds == [[Line(item="a")], Kind.CASH, date(2026, 1, 2)]
    assert isinstance(given_kinds[1], Kind)


def test_names_that_a_model_of_pydantic_could_not_have_are_fine() -> None:
    def odd(_private: int, copy: int, model_fields: int, schema: int) -> list[int]:
        return [_private, copy, model_fields, schema]

    assert call(odd, '{"_private": 1, "copy": 2, "model_fields": 3, "schema": 4}') == "[1,2,3,4]"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"order": 0}', "order: Input should be greater than or equal to 1"),
        ('{"order": 1, "colour": "red"}', "colour: Extra inputs are not permitted"),
        ("{}", "order: Field required"),
        ("[1]", "all of it: Input should be an object"),
        ('{"order": 1', "all of it: Invalid JSON"),
    ],
)
def test_arguments_that_do_not_fit_are_told_and_the_function_is_not_called(arguments: str, told: str) -> None:
    answer = call(lookup, arguments)

    assert answer.startswith("error: the arguments do not fit: ")
    assert told in answer


def test_what_is_wrong_is_told_in_ten_points_at_most() -> None:
    def add(numbers: list[int]) -> int:
        return sum(numbers)

    told = call(add, to_json({"numbers": ["x"] * 30}).decode())

    assert told.count("Input should be") == 10
    assert told.endswith("; and 20 more")


def test_a_tool_error_is_told_and_any_other_passes_through() -> None:
    def fail(how: str) -> None:
        if how == "told":
            raise ToolError("no such order")
        raise KeyError(how)

    assert call(fail, '{"how": "told"}') == "error: no such order"
    with pytest.raises(KeyError, match="raised"):
        call(fail, '{"how": "raised"}')


def test_a_tool_that_exits_does_not_end_the_loop() -> None:
    def leave() -> None:
        raise SystemExit(1)

    with pytest.raises(RuntimeError, match="tool leave raised SystemExit"):
        call(leave, "{}")


def test_a_result_that_is_no_json_names_its_tool() -> None:
    def thing() -> object:
        return object()

    with pytest.raises(TypeError, match="tool thing: its result is no JSON"):
        call(thing, "{}")


def of_any_number(*orders: int) -> None: ...


def of_any_name(**orders: int) -> None: ...


def of_position(order: int, /) -> None: ...


def untyped(order) -> None:  # type: ignore[no-untyped-def]
    ...


def unresolved(order: Missing) -> None:  # type: ignore[name-defined]  # noqa: F821
    ...


def of_no_json(order: Shop) -> None: ...


def of_no_schema(order: Callable[[], None]) -> None: ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (of_any_number, r"test_tools.of_any_number: parameter 'orders' is variadic positional"),
        (of_any_name, "parameter 'orders' is variadic keyword"),
        (of_position, "parameter 'order' is positional-only"),
        (untyped, "test_tools.untyped: parameter 'order' has no type"),
        (unresolved, "unresolved: annotations can't be resolved: name 'Missing'"),
        (of_no_json, "of_no_json: parameter 'order' has a type without a JSON schema"),
        (of_no_schema, "of_no_schema: parameter 'order' has a type without a JSON schema"),
        (lambda: None, "a tool's name has 1 to 64"),
        (functools.partial(lookup, 1), "neither a function nor a bound method"),
        (len, "neither a function nor a bound method"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_by_function_and_parameter(
    function: Callable[..., Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        Tool.of(function)


def test_a_function_that_is_defined_in_every_run_is_looked_at_once() -> None:
    def run(order: int) -> Tool:
        def find(more: int) -> int:
            return order + more

        return Tool.of(find)

    first, second = run(1), run(2)

    assert first.schema is second.schema
    assert [asyncio.run(each.call('{"more": 5}', KEY)) for each in (first, second)] == ["6", "7"]


def test_functions_of_one_decorator_are_told_apart() -> None:
    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    def find(order: int) -> int:
        return order

    def price(item: str) -> str:
        return item

    assert [Tool.of(logged(each)).schema.name for each in (find, price)] == ["find", "price"]
    assert call(logged(price), '{"item": "a"}') == "a"


def test_a_method_and_its_plain_function_are_told_apart() -> None:
    shop = Shop()

    assert call(shop.refund, '{"order": 1}')
    with pytest.raises(TypeError, match="parameter 'self' has no type"):
        Tool.of(Shop.refund)


VALUES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers(-(2**63), 2**63 - 1)),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (str, st.text()),
    (bool | None, st.none() | st.booleans()),
    (Kind, st.sampled_from(Kind)),
    (date, st.dates()),
    (list[Line], st.lists(st.builds(Line, item=st.text(), count=st.integers(0, 9)))),
    (dict[str, tuple[int, str]], st.dictionaries(st.text(), st.tuples(st.integers(0, 9), st.text()))),
]


@settings(deadline=None)
@given(st.data())
def test_any_value_of_a_type_arrives_as_it_was_written(data: st.DataObject) -> None:
    kind, values = data.draw(st.sampled_from(VALUES))
    value = data.draw(values)
    received: list[Any] = []

    def take(value: Any) -> None:
        received.append(value)

    take.__annotations__["value"] = kind

    assert call(take, to_json({"value": value}).decode()) == "null"
    assert received == [value]


def test_a_tool_gets_its_idempotency_key_and_no_model_is_told_of_it() -> None:
    def refund(order: int, idempotency_key: str) -> str:
        return f"{order} {idempotency_key}"

    assert list(Tool.of(refund).schema.parameters["properties"]) == ["order"]
    assert call(refund, '{"order": 7}') == "7 k1"
    assert call(refund, '{"order": 7, "idempotency_key": "mine"}').startswith("error:")
