"""A connector on Kafka Connect, by its REST interface."""

from __future__ import annotations

from typing import Any, ClassVar

import httpx

from headrace.errors import HeadraceError
from headrace.local.connect_status import has_failed, runs
from headrace.local.connector_place import ConnectorPlace
from headrace.local.removal import way_out
from headrace.provider.positions import are_kept
from headrace.provider.resource import Inputs, JsonObject, Kind
from headrace.waiting import wait_until

TIMEOUT_S = 30
RUNNING_TIMEOUT_S = 120


class ConnectorInputs(Inputs):
    endpoint: str
    name: str
    config: dict[str, str]
    """Complete configuration; secrets only as references that the worker resolves."""


class ConnectorKind(Kind[ConnectorInputs]):
    token = "headrace-local:index:Connector"
    inputs = ConnectorInputs
    replace_on = frozenset({"name"})
    settled: ClassVar = {"status": "running"}
    unobserved = frozenset({"endpoint"})

    def identify(self, inputs: ConnectorInputs) -> str:
        return inputs.name

    def create(self, inputs: ConnectorInputs) -> JsonObject:
        # While the worker elects its leader it answers 409: the request is fine, its moment isn't.
        answer = wait_until("Kafka Connect's leader", lambda: _put_config(inputs), RUNNING_TIMEOUT_S)
        if not answer.is_success:
            raise HeadraceError(f"connector {inputs.name} was refused: {_message(answer)}")
        wait_until(f"connector {inputs.name} running", lambda: _running_or_mended(inputs), RUNNING_TIMEOUT_S)
        return {"status": "running"}

    def read(self, inputs: ConnectorInputs) -> JsonObject | None:
        try:
            answer = _call(inputs, "GET", "/config")
        except httpx.TransportError:
            return {"status": "unreachable"}
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if not answer.is_success:
            return {"status": "unknown"}
        found = dict(answer.json())
        if "name" not in inputs.config:
            found.pop("name", None)
        return {"status": _status(inputs), "config": found}

    def delete(self, inputs: ConnectorInputs) -> None:
        """With what is stored of where it is; `headrace down` keeps that, and a successor goes on there.

        Raises:
            HeadraceError: Connect refuses; or does not answer, and has something to forget.
        """
        if not are_kept():
            _remove_with_offsets(inputs)
            return
        try:
            answer = _call(inputs, "DELETE", "")
        except httpx.TransportError:
            # Its worker does not run, so neither does it.
            return
        if not (answer.is_success or answer.status_code == httpx.codes.NOT_FOUND):
            raise HeadraceError(f"connector {inputs.name} can't be deleted: {_message(answer)}")


def _remove_with_offsets(inputs: ConnectorInputs) -> None:
    with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client:
        place = ConnectorPlace(client, inputs.endpoint, inputs.name)
        try:
            place.stop(inputs.config)
            place.forget()
            place.remove()
        except HeadraceError as error:
            raise way_out(f"connector {inputs.name} with what is stored of it", error) from None


def _put_config(inputs: ConnectorInputs) -> httpx.Response | None:
    try:
        answer = _call(inputs, "PUT", "/config", json=inputs.config)
    except httpx.TransportError:  # the worker is being restarted
        return None
    return None if answer.status_code == httpx.codes.CONFLICT else answer


def _running_or_mended(inputs: ConnectorInputs) -> bool:
    try:
        status = _status(inputs)
        if status == "failed":
            _call(inputs, "POST", "/restart?includeTasks=true&onlyFailed=true")
    except httpx.TransportError:  # the worker is being restarted
        return False
    return status == "running"


def _status(inputs: ConnectorInputs) -> str:
    answer = _call(inputs, "GET", "/status")
    if not answer.is_success:
        return "unknown"
    status = answer.json()
    if has_failed(status):
        return "failed"
    return "running" if runs(status) else "starting"


def _call(inputs: ConnectorInputs, method: str, path: str, json: Any = None) -> httpx.Response:
    url = f"{inputs.endpoint}/connectors/{inputs.name}{path}"
    return httpx.request(method, url, json=json, timeout=TIMEOUT_S, trust_env=False)


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError):
        return f"{answer.status_code} {answer.text}"
