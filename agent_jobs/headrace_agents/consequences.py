"""What a failure of a model's call leads to, by its class: what may be declared, and what holds otherwise.

``wait``: further attempts at the same endpoint, up to its ``max_attempts``; then the next endpoint of the
chain, if there is one. ``fall_back``: the next endpoint at once. ``dead_letter``: neither. ``escalate``: the
same, and a human is asked. The end of a chain, and of a run's deadline, is a dead letter
(``docs/decisions/0031-consequences.md``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from headrace_agents.chat import ModelErrorKind

Consequence = Literal["wait", "fall_back", "dead_letter", "escalate"]
Consequences = Mapping[ModelErrorKind, Consequence]
"""One for each class."""

KINDS: tuple[ModelErrorKind, ...] = get_args(ModelErrorKind)
MAY_MEND: frozenset[ModelErrorKind] = frozenset(
    {"rate_limited", "overloaded", "timeout", "malformed", "unknown"}
)
"""What another attempt may mend: the others would fail the same way again."""

_OF_THE_ENDPOINT: frozenset[ModelErrorKind] = frozenset({"rate_limited", "overloaded", "timeout"})


def usual(kind: ModelErrorKind, *, has_fallbacks: bool) -> Consequence:
    """Where nothing is declared. What is wrong with an endpoint, not with the request, falls back."""
    if has_fallbacks and (kind in _OF_THE_ENDPOINT or kind in ("auth", "budget")):
        return "fall_back"
    return "wait" if kind in _OF_THE_ENDPOINT or kind == "malformed" else "dead_letter"


ALONE: Consequences = {kind: usual(kind, has_fallbacks=False) for kind in KINDS}
"""Of an endpoint without fallbacks, where nothing is declared."""


def goes_on(consequence: Consequence) -> bool:
    """Whether the next endpoint of the chain is asked, once this one is done with."""
    return consequence in ("wait", "fall_back")


def at_the_end(consequences: Consequences) -> dict[ModelErrorKind, Consequence]:
    """Of a chain's last endpoint: with nothing to fall back to it waits, where that may mend anything."""
    return {
        kind: consequence if consequence != "fall_back" else "wait" if kind in MAY_MEND else "dead_letter"
        for kind, consequence in consequences.items()
    }
