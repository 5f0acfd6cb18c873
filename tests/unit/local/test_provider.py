"""The provider's protocol side: values, checks and differences, without an engine."""

import asyncio
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.provider.experimental import provider as api
from pulumi.provider.experimental.property_value import PropertyValue

from headrace.local.provider.process import ProcessKind
from headrace.provider.resource import Inputs, JsonObject, Kind
from headrace.provider.server import HeadraceProvider, to_python, to_values

TYPE = "headrace-local:index:Thing"
URN = f"urn:pulumi:local::headrace::headrace:local:LocalStack${TYPE}::thing"

plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class ThingInputs(Inputs):
    name: str
    size: int = 1
    where: str = ""


class ThingKind(Kind[ThingInputs]):
    token = TYPE
    inputs = ThingInputs
    replace_on = frozenset({"name"})
    settled: ClassVar = {"status": "running"}
    unobserved = frozenset({"where"})

    def __init__(self) -> None:
        self.there = True

    def identify(self, inputs: ThingInputs) -> str:
        return inputs.name

    def create(self, inputs: ThingInputs) -> JsonObject:
        return {"status": "running"}

    def read(self, inputs: ThingInputs) -> JsonObject | None:
        return {"status": "stopped"} if self.there else None

    def update(self, old: JsonObject, inputs: ThingInputs) -> JsonObject:
        return {"status": "running"}

    def delete(self, inputs: ThingInputs) -> None:
        self.there = False


@pytest.fixture
def provider() -> HeadraceProvider:
    return HeadraceProvider("headrace-local", [ThingKind()])


def diff(provider: HeadraceProvider, old: JsonObject, new: JsonObject) -> api.DiffResponse:
    return asyncio.run(provider.diff(api.DiffRequest(URN, "x", to_values(old), to_values(new), [])))


def state(**changed: Any) -> JsonObject:
    return {"name": "x", "size": 1, "where": "here", "status": "running"} | changed


@given(st.dictionaries(st.text(), plain_values, max_size=3))
def test_values_survive_the_wire_format(values: dict[str, Any]) -> None:
    assert to_python(to_values(values)) == values


def test_check_fills_in_defaults_and_refuses_what_is_unknown(provider: HeadraceProvider) -> None:
    good = asyncio.run(provider.check(api.CheckRequest(URN, {}, to_values({"name": "x"}), b"")))
    assert good.inputs is not None
    assert to_python(good.inputs) == {"name": "x", "size": 1, "where": ""}
    bad = asyncio.run(provider.check(api.CheckRequest(URN, {}, to_values({"name": "x", "sise": 2}), b"")))
    assert bad.failures is not None
    assert [f.property for f in bad.failures] == ["sise"]


def test_what_is_not_known_yet_is_neither_checked_nor_compared(provider: HeadraceProvider) -> None:
    inputs = to_values({"name": "x"}) | {"where": PropertyValue.computed()}
    checked = asyncio.run(provider.check(api.CheckRequest(URN, {}, inputs, b"")))
    assert (checked.inputs, checked.failures) == (inputs, None)
    compared = asyncio.run(provider.diff(api.DiffRequest(URN, "x", to_values(state()), inputs, [])))
    assert (compared.changes, compared.diffs) == (True, ["where"])


def test_nothing_changed_is_no_difference(provider: HeadraceProvider) -> None:
    assert diff(provider, state(), state()).changes is False


def test_where_it_is_looked_for_is_no_difference(provider: HeadraceProvider) -> None:
    assert diff(provider, state(), state(where="there")).changes is False


def test_a_changed_input_is_an_update_that_names_the_input(provider: HeadraceProvider) -> None:
    found = diff(provider, state(), state(size=2))
    assert (found.diffs, found.replaces) == (["size"], [])
    assert found.detailed_diff["size"].input_diff


def test_what_became_different_by_itself_is_an_update(provider: HeadraceProvider) -> None:
    found = diff(provider, state(status="stopped"), state())
    assert found.diffs == ["status"]
    assert not found.detailed_diff["status"].input_diff


def test_what_cannot_change_in_place_is_replaced(provider: HeadraceProvider) -> None:
    assert diff(provider, state(), state(name="y")).replaces == ["name"]


def test_a_resource_that_is_gone_is_read_as_gone(provider: HeadraceProvider) -> None:
    async def read() -> api.ReadResponse:
        inputs = to_values({"name": "x"})
        return await provider.read(api.ReadRequest(URN, "x", inputs, inputs))

    assert asyncio.run(read()).resource_id == "x"
    asyncio.run(provider.delete(api.DeleteRequest(URN, "x", to_values({"name": "x"}), 0)))
    assert asyncio.run(read()).resource_id == ""


def test_every_kind_has_a_schema() -> None:
    schema = HeadraceProvider("headrace-local", [ProcessKind()]).schema()
    process = schema["resources"]["headrace-local:index:Process"]
    assert process["requiredInputs"] == ["root", "name", "command"]
    assert process["inputProperties"]["command"] == {"type": "array"}
