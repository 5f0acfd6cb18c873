"""The tables of the page on capturing, written from the code.

``python -m headrace.capture.reference docs/capture.md`` brings the page up to date.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from headrace.capture.abilities import abilities_table
from headrace.capture.by_engine import by_engine_table
from headrace.capture.columns import CARRIED, NOT_IN_ARRAYS
from headrace.capture.preflight import CHECKS, Check, identity

BEGIN, END = "<!-- from the code, {}: begin -->", "<!-- from the code, {}: end -->"


def checks_table() -> str:
    """Markdown: a row for each check."""
    rows = [f"| `{identity(check)}` | {holds(check)} |" for check in CHECKS]
    return "\n".join(["| check | passes when |", "|---|---|", *rows])


def holds(check: Check) -> str:
    return (inspect.getdoc(check) or "").splitlines()[0]


def types_list() -> str:
    """Markdown: what `column-types` lets pass."""
    carried, alone = (", ".join(f"`{name}`" for name in sorted(names)) for names in (CARRIED, NOT_IN_ARRAYS))
    arrays = f"arrays of these and of enums, but not of domains and not of {alone}"
    return f"Carried types: {carried}; enums; domains over these; {arrays}."


def up_to_date(text: str) -> str:
    """A page with what stands between its markers written anew."""
    for name, written in (
        ("checks", f"{checks_table()}\n\n{types_list()}"),
        ("abilities", abilities_table()),
        ("engines", by_engine_table()),
    ):
        begin, end = BEGIN.format(name), END.format(name)
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{written}\n\n{end}{after}"
    return text


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(up_to_date(page.read_text(encoding="utf-8")), encoding="utf-8")
