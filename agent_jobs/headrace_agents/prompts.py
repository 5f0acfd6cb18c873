"""Prompts as settings: templates that stand beside the agent, and are checked wherever they come from."""

from __future__ import annotations

from pathlib import Path
from string import Formatter

from pydantic import AfterValidator


def beside(module_file: str, name: str) -> str:
    """The text of a file in a module's folder, as in ``beside(__file__, "triage.txt")``; its last line has no
    end. Raises OSError."""
    return Path(module_file).with_name(name).read_text(encoding="utf-8").rstrip("\n")


class Template(AfterValidator):
    """What :func:`takes` gives; a setting that has it is a prompt."""


def takes(*fields: str) -> Template:
    """A template's check: ``{field}`` for each of these, in any order, as often as it likes or not at all;
    ``{{`` and ``}}`` are braces. ``question: Annotated[str, takes("subject")]`` makes a setting of it, filled
    in by ``str.format``.
    """
    allowed = ", ".join(f"{{{field}}}" for field in fields) or "no fields"

    def check(template: str) -> str:
        try:
            parts = list(Formatter().parse(template))
        except ValueError as error:
            raise ValueError(f"no template: {error}; allowed: {allowed}") from None
        for _, field, form, conversion in parts:
            if field is not None and (field not in fields or form or conversion):
                raise ValueError(f"the template has {{{field}}}; allowed: {allowed}, as they are")
        return template

    return Template(check)
