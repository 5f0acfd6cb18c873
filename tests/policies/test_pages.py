"""The pages of rules are what the rules say."""

from __future__ import annotations

from pathlib import Path

from headrace_policies.pages import pages

FOLDER = Path(__file__).parents[2] / "docs" / "policies"


def test_pages_are_current() -> None:
    written = {page.name: page.read_text() for page in FOLDER.glob("*.md")}
    again = "run: python -m headrace_policies.pages docs/policies"
    assert written == pages(), again
