"""What to do where something of a local stack can't be removed."""

from __future__ import annotations

from headrace.errors import HeadraceError


def way_out(what: str, error: Exception) -> HeadraceError:
    """Of a removal that found nobody to remove `what`."""
    return HeadraceError(
        f"{what} can't be removed: {str(error).strip()}. Start what does not answer (`headrace up`) and run"
        " the command again; `headrace down` stops the stack and keeps it, `headrace clean` removes the"
        " stack's folder with all that is in it"
    )
