"""``docs/capture.md`` says what the code says."""

from __future__ import annotations

from pathlib import Path

from headrace.capture import reference
from headrace.capture.preflight import CHECKS, identity

PAGE = Path(__file__).parents[3] / "docs" / "capture.md"


def test_the_pages_checks_and_types_are_those_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == reference.up_to_date(text), "run: python -m headrace.capture.reference docs/capture.md"
    assert all(f"| `{identity(check)}` |" in text for check in CHECKS)
