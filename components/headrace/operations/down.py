"""`headrace down`: agents stopped with savepoints, every process ended; data stays."""

from __future__ import annotations

from headrace.local.supervision import Supervisor
from headrace.operations.session import session
from headrace.operations.stack import Stack


def down(stack: Stack) -> None:
    """Destroy the stack's resources, and keep where connectors are.

    Fine where there are none, or where nothing runs any more.
    """
    with session(stack.files):
        if stack.files.pulumi.exists():
            stack.engine.select()
            stack.engine.clear_interrupted()
            stack.engine.stop()
        # What an interrupted `up` started and the engine never heard of.
        Supervisor(stack.files).shut_down()
