"""Where a connector is, changed by Kafka Connect's REST interface: it has to be stopped for that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from headrace.errors import HeadraceError
from headrace.waiting import wait_until

TIMEOUT_S = 30
STOPPED_TIMEOUT_S = 60


class ConnectorPlace:
    """Of one connector. https://kafka.apache.org/documentation/#connect_administration

    Every method raises HeadraceError where Kafka Connect does not answer, or refuses.
    """

    def __init__(self, client: httpx.Client, endpoint: str, name: str) -> None:
        self._client, self._connectors, self._name = client, f"{endpoint}/connectors", name

    def stop(self, config: Mapping[str, str]) -> None:
        """Stop it with its tasks. One that is not there is made with `config`, stopped: what is stored of it
        can't be changed otherwise."""
        answer = self._send("PUT", "/stop")
        if answer.status_code == httpx.codes.NOT_FOUND:
            made = {"name": self._name, "config": dict(config), "initial_state": "STOPPED"}
            self._checked(self._sent("POST", self._connectors, made))
        else:
            self._checked(answer)
        wait_until(f"connector {self._name} stopped", self._is_stopped, STOPPED_TIMEOUT_S)

    def forget(self) -> None:
        """Remove all that is stored of where it is."""
        self._checked(self._send("DELETE", "/offsets"))

    def put(self, server: str, offset: Mapping[str, Any]) -> None:
        """Store `offset` as where it is; `server` is Debezium's ``topic.prefix``."""
        offsets = [{"partition": {"server": server}, "offset": dict(offset)}]
        self._checked(self._send("PATCH", "/offsets", {"offsets": offsets}))

    def resume(self) -> None:
        self._checked(self._send("PUT", "/resume"))

    def remove(self) -> None:
        self._checked(self._send("DELETE", ""))

    def _is_stopped(self) -> bool:
        answer = self._send("GET", "/status")
        if answer.status_code == httpx.codes.NOT_FOUND:  # made a moment ago
            return False
        status = self._checked(answer).json()
        return status["connector"]["state"] == "STOPPED" and not status["tasks"]

    def _send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self._sent(method, f"{self._connectors}/{self._name}{path}", body)

    def _sent(self, method: str, url: str, body: Any = None) -> httpx.Response:
        try:
            return self._client.request(method, url, json=body)
        except httpx.TransportError as error:
            raise HeadraceError(f"Kafka Connect does not answer at {url}: {error}") from error

    @staticmethod
    def _checked(answer: httpx.Response) -> httpx.Response:
        if not answer.is_success:
            asked = f"{answer.request.method} {answer.request.url}"
            raise HeadraceError(f"Kafka Connect refused {asked}: {answer.status_code} {answer.text}")
        return answer
