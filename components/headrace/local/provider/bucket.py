"""A bucket of the object store."""

from __future__ import annotations

from typing import ClassVar

import httpx

from headrace.errors import HeadraceError
from headrace.provider.resource import Inputs, JsonObject, Kind

TIMEOUT_S = 10


class BucketInputs(Inputs):
    endpoint: str
    name: str


class BucketKind(Kind[BucketInputs]):
    token = "headrace-local:index:Bucket"
    inputs = BucketInputs
    replace_on = frozenset({"name"})
    settled: ClassVar = {"status": "present"}
    unobserved = frozenset({"endpoint"})

    def identify(self, inputs: BucketInputs) -> str:
        return inputs.name

    def create(self, inputs: BucketInputs) -> JsonObject:
        answer = _call("PUT", inputs)
        if not (answer.is_success or answer.status_code == httpx.codes.CONFLICT):  # 409: it is there already
            raise HeadraceError(f"bucket {inputs.name} can't be made: {answer.status_code} {answer.text}")
        return {"status": "present"}

    def read(self, inputs: BucketInputs) -> JsonObject | None:
        try:
            found = _call("HEAD", inputs).status_code != httpx.codes.NOT_FOUND
        except httpx.TransportError:
            return {"status": "unreachable"}
        return {"status": "present"} if found else None

    def delete(self, inputs: BucketInputs) -> None:
        _call("DELETE", inputs)


def _call(method: str, inputs: BucketInputs) -> httpx.Response:
    return httpx.request(method, f"{inputs.endpoint}/{inputs.name}", timeout=TIMEOUT_S, trust_env=False)
