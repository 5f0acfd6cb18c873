"""Records that no agent can decide."""

from __future__ import annotations

import json
from collections.abc import Mapping

KEY = b'{"customer_id": 7}'
FIVE_MB = 5 * 1024 * 1024


def envelope(table: str = "tickets", body: str = "") -> bytes:
    """A row's insert as Debezium writes it, as far as an agent reads it."""
    row = {"id": 1_000_000, "customer_id": 7, "subject": "", "body": body, "status": "open"}
    source = {"schema": "public", "table": table, "ts_ms": 0}
    return json.dumps({"before": None, "after": row, "source": source, "op": "c"}).encode()


UNDECIDABLE: Mapping[str, tuple[bytes | None, bytes | None, str]] = {
    "null value without a key": (None, None, "no_value"),
    "JSON null": (KEY, b"null", "no_value"),
    "malformed JSON": (KEY, b'{"op": "c", "after": {', "malformed"),
    "JSON that is no object": (KEY, b"[1, 2]", "malformed"),
    "bytes that are no text": (KEY, b"\xff\xfe\x00", "malformed"),
    "5 MB": (KEY, envelope(body="x" * FIVE_MB), "too_large"),
    "unknown table": (KEY, envelope(table="invoices"), "unknown_table"),
    "no key": (None, envelope(), "no_key"),
    "a key of another table": (b'{"id": 7}', envelope(), "no_key"),
}
"""What is wrong -> key, value, reason."""
