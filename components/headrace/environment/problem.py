"""What is wrong with a declaration, and the error that lists all of it."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.errors import HeadraceError

Path = tuple[str | int, ...]
"""Field names and list positions, from the top of the declaration."""


def dotted(path: Path) -> str:
    """``("agents", 0, "scaling")`` as ``agents[0].scaling``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where, and what would be right."""

    path: Path
    given: str
    """What was written there, or that nothing was."""
    allowed: str
    line: int | None = None
    """Counted from 1, where the text of the file is known."""

    def __str__(self) -> str:
        where = dotted(self.path) or "the whole file"
        line = f" (line {self.line})" if self.line else ""
        return f"{where}{line}: given {self.given}; allowed: {self.allowed}"


class DeclarationError(HeadraceError):
    """A declaration was refused; lists every problem that could be told."""

    def __init__(self, origin: str, problems: tuple[Problem, ...]) -> None:
        self.origin = origin
        self.problems = problems
        found = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        listed = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"{origin}: {found} in the declaration:\n{listed}\nnothing was changed")
