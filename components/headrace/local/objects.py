"""Client of the object store: S3's interface, as far as snapshots need it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from urllib.parse import quote
from xml.etree import ElementTree

import httpx

from headrace.errors import HeadraceError
from headrace.state.layout import StoredObject

TIMEOUT_S = 30
PAUSES_S = (0.1, 0.2, 0.4, 0.8)
UNFINISHED_UPLOAD = ".mpus-"
"""S3Proxy keeps parts of an upload that is not finished as objects of the bucket; S3 lists none of them."""
SHOWN_CHARS = 500
"""Of an answer that refuses something."""
NAMESPACE = {"s3": "http://s3.amazonaws.com/doc/2006-03-01/"}


class StoreAway(HeadraceError):
    """The object store does not answer."""


class Objects:
    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def listed(self, bucket: str, prefix: str = "") -> list[StoredObject]:
        """Every object below the prefix (ListObjectsV2, all pages), in the order of keys."""
        objects: list[StoredObject] = []
        token: str | None = None
        while True:
            query = {"list-type": "2", "prefix": prefix} | ({"continuation-token": token} if token else {})
            answer = self._good(self._send("GET", f"/{bucket}", query))
            page = ElementTree.fromstring(answer.content)  # noqa: S314 (it comes from the stack's own process)
            found = (_stored(bucket, entry) for entry in page.findall("s3:Contents", NAMESPACE))
            objects += [stored for stored in found if not stored.key.startswith(UNFINISHED_UPLOAD)]
            token = page.findtext("s3:NextContinuationToken", None, NAMESPACE)
            if not token:
                return objects

    def read(self, path: str) -> bytes | None:
        """The content of ``s3://bucket/key``; None where it is not there (any more)."""
        answer = self._send("GET", _url(path))
        return None if answer.status_code == httpx.codes.NOT_FOUND else self._good(answer).content

    def delete(self, path: str) -> None:
        """Fine where it is not there."""
        answer = self._send("DELETE", _url(path))
        if answer.status_code != httpx.codes.NOT_FOUND:
            self._good(answer)

    def _send(self, method: str, path: str, query: dict[str, str] | None = None) -> httpx.Response:
        """Tried again after a server's error: S3 itself has some, and S3Proxy while parts are uploaded."""
        try:
            for pause_s in PAUSES_S:
                answer = self._client.request(method, path, params=query)
                if not answer.is_server_error:
                    return answer
                time.sleep(pause_s)
            return self._client.request(method, path, params=query)
        except httpx.TransportError as error:
            raise StoreAway(
                f"the object store does not answer at {self._client.base_url}: {error}"
            ) from error

    @staticmethod
    def _good(answer: httpx.Response) -> httpx.Response:
        if not answer.is_success:
            asked = f"{answer.request.method} {answer.request.url}"
            raise HeadraceError(
                f"the object store refused {asked}: {answer.status_code} {answer.text[:SHOWN_CHARS]}"
            )
        return answer


@contextmanager
def objects(endpoint: str) -> Iterator[Objects]:
    with httpx.Client(base_url=endpoint, timeout=TIMEOUT_S, trust_env=False) as client:
        yield Objects(client)


def _url(path: str) -> str:
    return "/" + quote(path.removeprefix("s3://"))


def _stored(bucket: str, entry: ElementTree.Element) -> StoredObject:
    def text(name: str) -> str:
        return entry.findtext(f"s3:{name}", "", NAMESPACE)

    modified = datetime.fromisoformat(text("LastModified"))
    return StoredObject(bucket, text("Key"), int(text("Size")), modified)
