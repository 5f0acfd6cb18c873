"""The reference of the declaration, written from the declaration itself.

``python -m headrace.environment.reference FILE`` brings a Markdown file up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from headrace.environment.fields import is_list, kind_of, models_in, what_is_allowed
from headrace.environment.model import Environment
from headrace.environment.rules import RULES

BEGIN, END = "<!-- from the code: begin -->", "<!-- from the code: end -->"


def tables() -> str:
    """Markdown: one table for each part of the declaration, in the order in which they are met."""
    return "\n".join(_table(path, model) for path, model in parts())


def parts(path: str = "", model: type[BaseModel] = Environment) -> Iterator[tuple[str, type[BaseModel]]]:
    """Every model of the declaration with the path at which it stands; lists as ``[]``."""
    yield path, model
    for name, field in model.model_fields.items():
        for inner in models_in(field.annotation):
            kind = f" (kind: {kind_of(inner)})" if kind_of(inner) else ""
            below = f"{path}.{name}".lstrip(".") + ("[]" if is_list(field.annotation) else "")
            yield from parts(below + kind, inner)


def rule_list() -> str:
    """Markdown: the rules between fields, one line each."""
    return "\n".join(f"- {rule.__doc__}" for rule in RULES)


def up_to_date(text: str) -> str:
    """A document with what stands between its markers written anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables()}### Rules between fields\n\n{rule_list()}\n\n{END}{after}"


def _table(path: str, model: type[BaseModel]) -> str:
    rows = [
        f"| `{name}` | {what_is_allowed(field)} | {_default(field)} | {field.description} |"
        for name, field in model.model_fields.items()
        if what_is_allowed(field) is not None
    ]
    title = f"### `{path}`" if path else "### The environment"
    what = (model.__doc__ or "").strip()
    return "\n".join(
        [title, "", what, "", "| field | allowed | left out | meaning |", "|---|---|---|---|", *rows, "", ""]
    )


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is None or isinstance(default, BaseModel) or default == {}:
        return "-"
    return f"`{default}`"


if __name__ == "__main__":
    document = Path(sys.argv[1])
    document.write_text(up_to_date(document.read_text(encoding="utf-8")), encoding="utf-8")
