"""`headrace clean`: everything of a stack is removed, its data too."""

from __future__ import annotations

import shutil

from headrace.local.supervision import Supervisor
from headrace.operations.session import session
from headrace.operations.stack import Stack


def clean(stack: Stack) -> None:
    """End every process and remove the stack's folder. There is no way back, so nothing is saved first."""
    if not stack.files.root.exists():
        return
    with session(stack.files):
        Supervisor(stack.files).shut_down()
        shutil.rmtree(stack.files.root)
