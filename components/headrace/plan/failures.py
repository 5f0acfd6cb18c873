"""What each class of failure of a model's call leads to."""

from __future__ import annotations

from headrace.environment.model import Model
from headrace.plan.because import Because, because, mapping
from headrace_agents.chat import ModelErrorKind
from headrace_agents.consequences import KINDS, Consequence


def on_failure(model: Model) -> Because[dict[str, Consequence]]:
    """As declared, and as usual for the others."""
    return mapping({kind: _consequence(model, kind) for kind in KINDS}, "")


def _consequence(model: Model, kind: ModelErrorKind) -> Because[Consequence]:
    consequence = model.on_failure.of(kind, has_fallbacks=bool(model.fallbacks))
    if getattr(model.on_failure, kind) is not None:
        return because(consequence, f"declared as model.on_failure.{kind}")
    return because(consequence, f"as usual with {len(model.fallbacks)} fallbacks")
