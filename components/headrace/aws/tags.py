"""Tags that everything of a stack carries, so that its cost and its owner can be told."""

from __future__ import annotations

import re
from dataclasses import dataclass

from headrace.errors import HeadraceError

VALUE = re.compile(r"[\w .:/=+\-@]{1,256}", re.ASCII)
"""What AWS takes everywhere as a tag's value (the narrowest of its services, in ASCII)."""

UNLABELLED, LABEL_CHARS = re.compile(r"[^\w.-]", re.ASCII), 63


@dataclass(frozen=True, kw_only=True)
class Tags:
    """Whose a resource is.

    Raises:
        HeadraceError: a value is empty, or has a character that AWS refuses.
    """

    environment: str
    owner: str
    cost_centre: str

    def __post_init__(self) -> None:
        for tag, value in self.shared.items():
            if not VALUE.fullmatch(value):
                raise HeadraceError(
                    f"tag {tag}: given {value!r}; allowed: 1 to 256 letters, digits, spaces and "
                    ". : / = + - @ _"
                )

    @property
    def shared(self) -> dict[str, str]:
        """The tags that are the same on everything of the stack."""
        return {"environment": self.environment, "owner": self.owner, "cost-centre": self.cost_centre}

    @property
    def labels(self) -> dict[str, str]:
        """The same as labels of Kubernetes, which takes fewer characters, and 63 at most."""
        return {
            tag: UNLABELLED.sub("-", value)[:LABEL_CHARS].strip("-_.") for tag, value in self.shared.items()
        }

    def named(self, name: str) -> dict[str, str]:
        """The same with ``Name``, which AWS's console shows instead of an id."""
        return {"Name": name, **self.shared}
