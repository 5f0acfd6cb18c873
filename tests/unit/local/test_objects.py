"""The object store's errors that pass, and its own files, are nobody else's matter."""

from __future__ import annotations

import httpx
import pytest

from headrace.errors import HeadraceError
from headrace.local import objects as module
from headrace.local.objects import Objects

LISTING = """<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{}</ListBucketResult>"""
ENTRY = (
    "<Contents><Key>{}</Key><Size>3</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
)


class Store:
    """Answers an error as many times as it is told, then a listing."""

    def __init__(self, errors: int) -> None:
        self.errors = errors

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.errors -= 1
        if self.errors >= 0:
            return httpx.Response(500, text="a file has no attribute yet")
        keys = (".mpus-1-a/x/_metadata-1", "a/x/_metadata")
        return httpx.Response(200, text=LISTING.format("".join(map(ENTRY.format, keys))))


def client(errors: int) -> Objects:
    return Objects(httpx.Client(base_url="http://127.0.0.1", transport=httpx.MockTransport(Store(errors))))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES_S", (0.0,) * len(module.PAUSES_S))


def test_parts_of_an_unfinished_upload_are_no_objects() -> None:
    assert [stored.path for stored in client(0).listed("checkpoints")] == ["s3://checkpoints/a/x/_metadata"]


def test_a_servers_error_that_passes_is_not_seen() -> None:
    assert len(client(len(module.PAUSES_S)).listed("checkpoints")) == 1


def test_one_that_stays_is_said() -> None:
    with pytest.raises(HeadraceError, match=r"refused GET .*: 500 a file has no attribute yet"):
        client(len(module.PAUSES_S) + 1).listed("checkpoints")
