"""docs/state-format.md says what the code's own docstrings say.

`agent_jobs/.venv/bin/python -m tests.unit.agents_docs.test_state_format_page` writes it.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType

from headrace_agents import codec, journal

PAGE = Path(__file__).parents[3] / "docs" / "state-format.md"

_HEAD = """# What an agent keeps, byte by byte

Generated from the docstrings of the runtime. Golden files of every kind of entry are in
[tests/unit/agents/golden](../tests/unit/agents/golden); a test holds today's code to them. A change of a
format is a new version beside the old one, which is still read: state outlives the code that wrote it.
"""


def page() -> str:
    sections = [("Flink state", codec), ("The journal topic", journal)]
    return "\n".join([_HEAD, *(_section(title, module) for title, module in sections)])


def _section(title: str, module: ModuleType) -> str:
    name = module.__name__.rpartition(".")[2]
    where = f"[{name}.py](../agent_jobs/headrace_agents/{name}.py)"
    return f"## {title}\nFrom {where}.\n\n```text\n{inspect.cleandoc(module.__doc__ or '')}\n```\n"


def test_the_page_is_what_the_docstrings_say() -> None:
    assert PAGE.read_text() == page()


if __name__ == "__main__":
    PAGE.write_text(page())
