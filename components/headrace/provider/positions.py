"""Whether a connector's place stays when its resources go: its slot, publication and stored offsets.

`headrace down` keeps it, so that the next `up` goes on there. Whatever else removes these resources, a plain
``pulumi destroy`` or an `up` without the source, removes the place with them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

_VARIABLE = "HEADRACE_KEEP_POSITIONS"
KEPT: Mapping[str, str] = {_VARIABLE: "1"}
"""Of the engine's environment, which the provider inherits."""


def are_kept() -> bool:
    return os.environ.get(_VARIABLE) == KEPT[_VARIABLE]
