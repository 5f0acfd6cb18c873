"""The provider: Pulumi's protocol on one side, resource kinds on the other."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pulumi.provider.experimental import provider as api
from pulumi.provider.experimental.property_value import Computed, PropertyValue
from pydantic import ValidationError

from headrace import waiting
from headrace.provider.resource import Inputs, JsonObject, Kind

T = TypeVar("T")
logger = logging.getLogger(__name__)


class HeadraceProvider(api.Provider):
    """Serves resource kinds by their token. Verbs run in threads: they wait for real processes."""

    def __init__(self, package: str, kinds: Iterable[Kind[Any]]) -> None:
        super().__init__()
        self._package = package
        self._kinds = {kind.token: kind for kind in kinds}

    async def configure(self, _request: api.ConfigureRequest) -> api.ConfigureResponse:
        return api.ConfigureResponse(accept_secrets=False, supports_preview=False)

    async def get_schema(self, _request: api.GetSchemaRequest) -> api.GetSchemaResponse:
        return api.GetSchemaResponse(schema=json.dumps(self.schema()))

    def schema(self) -> JsonObject:
        """Pulumi's package schema: the kinds and their inputs' names and types."""
        return {
            "name": self._package,
            "resources": {
                token: {
                    "inputProperties": _properties(kind.inputs),
                    "requiredInputs": [n for n, f in kind.inputs.model_fields.items() if f.is_required()],
                }
                for token, kind in self._kinds.items()
            },
        }

    async def check(self, request: api.CheckRequest) -> api.CheckResponse:
        kind = self._kind(request)
        if _unknown(request.new_inputs):
            # In a preview, before what tells it is made: the update checks it.
            return api.CheckResponse(inputs=request.new_inputs)
        given = to_python(request.new_inputs)
        try:
            inputs = kind.inputs.model_validate(given)
        except ValidationError as error:
            failures = [
                api.CheckFailure(".".join(map(str, e["loc"])), f"{e['msg']} (given: {e['input']!r})")
                for e in error.errors()
            ]
            return api.CheckResponse(inputs=request.new_inputs, failures=failures)
        # With defaults filled in, state and diffs show what is really asked for.
        return api.CheckResponse(inputs=to_values(inputs.model_dump(mode="json")))

    async def diff(self, request: api.DiffRequest) -> api.DiffResponse:
        kind = self._kind(request)
        if unknown := _unknown(request.new_inputs):
            return api.DiffResponse(changes=True, diffs=unknown)
        old, new = to_python(request.old_state), to_python(request.new_inputs)
        differences = kind.differences(old, new)
        if said := kind.foretold(old, new):
            logger.info(said, extra={"urn": request.urn})
        replaces = sorted(kind.replace_on & differences.keys())
        update, replace = api.PropertyDiffKind.UPDATE, api.PropertyDiffKind.UPDATE_REPLACE
        return api.DiffResponse(
            changes=bool(differences),
            replaces=replaces,
            delete_before_replace=True,
            diffs=sorted(differences),
            detailed_diff={
                name: api.PropertyDiff(replace if name in replaces else update, input_diff=is_input)
                for name, is_input in differences.items()
            },
        )

    async def create(self, request: api.CreateRequest) -> api.CreateResponse:
        kind = self._kind(request)
        inputs = kind.inputs.model_validate(to_python(request.properties))
        observed = await _in_thread(lambda: kind.create(inputs))
        return api.CreateResponse(kind.identify(inputs), _state(inputs, observed))

    async def read(self, request: api.ReadRequest) -> api.ReadResponse:
        kind = self._kind(request)
        try:
            inputs = kind.recorded_inputs(to_python(request.inputs))
        except ValidationError:
            # Recorded by another version of this provider: what it means today the next update says.
            unknown = {**request.properties, **to_values({"status": "unknown"})}
            return api.ReadResponse(request.resource_id, properties=unknown, inputs=request.inputs)
        found = await _in_thread(lambda: kind.read(inputs))
        if found is None:
            # An empty id tells the engine that the resource is gone.
            return api.ReadResponse(resource_id="", properties={}, inputs={})
        return api.ReadResponse(
            resource_id=request.resource_id, properties=_state(inputs, found), inputs=request.inputs
        )

    async def update(self, request: api.UpdateRequest) -> api.UpdateResponse:
        kind = self._kind(request)
        inputs = kind.inputs.model_validate(to_python(request.news))
        old = to_python(request.olds)
        observed = await _in_thread(lambda: kind.update(old, inputs))
        return api.UpdateResponse(_state(inputs, observed))

    async def delete(self, request: api.DeleteRequest) -> None:
        kind = self._kind(request)
        inputs = kind.recorded_inputs(to_python(request.properties))
        await _in_thread(lambda: kind.delete(inputs))

    async def cancel(self) -> None:
        waiting.cancelled.set()

    def _kind(self, request: Any) -> Kind[Any]:
        # The engine gives the types of the parents too: `parent$type`.
        return self._kinds[request.type.rpartition("$")[2]]


async def _in_thread(verb: Callable[[], T]) -> T:
    return await asyncio.to_thread(verb)


def _state(inputs: Inputs, observed: Mapping[str, Any]) -> dict[str, PropertyValue]:
    return to_values(inputs.model_dump(mode="json") | dict(observed))


def _properties(inputs: type[Inputs]) -> JsonObject:
    names = {
        "string": "string",
        "integer": "integer",
        "boolean": "boolean",
        "array": "array",
        "object": "object",
    }
    properties = inputs.model_json_schema()["properties"]
    return {name: {"type": names.get(p.get("type", ""), "object")} for name, p in properties.items()}


def _unknown(values: Mapping[str, PropertyValue]) -> list[str]:
    """Names of what is not known before something else was made."""
    return sorted(name for name, value in values.items() if isinstance(value.value, Computed))


def to_python(values: Mapping[str, PropertyValue]) -> JsonObject:
    """Plain values; a number that is whole becomes an int, since the wire knows only doubles."""
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: PropertyValue) -> Any:
    inner = value.value
    if isinstance(inner, Computed):
        raise TypeError("a part of an input is not known; allowed: the whole of it")
    if isinstance(inner, Mapping):
        return {k: _plain(v) for k, v in inner.items()}
    if isinstance(inner, Sequence) and not isinstance(inner, str):
        return [_plain(v) for v in inner]
    if isinstance(inner, float) and inner.is_integer():
        return int(inner)
    return inner


def to_values(values: Mapping[str, Any]) -> dict[str, PropertyValue]:
    return {name: _value(value) for name, value in values.items()}


def _value(plain: Any) -> PropertyValue:
    if isinstance(plain, Mapping):
        return PropertyValue({str(k): _value(v) for k, v in plain.items()})
    if isinstance(plain, list | tuple):
        return PropertyValue([_value(v) for v in plain])
    if isinstance(plain, int) and not isinstance(plain, bool):
        return PropertyValue(float(plain))
    return PropertyValue(plain)
