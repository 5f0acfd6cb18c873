"""How a Python worker of Flink ends when nobody else ends it."""

from __future__ import annotations

import faulthandler
import os
import select
import sys
import threading
from pathlib import Path

HELD_S = 30.0
"""A handler that has held the interpreter for so long is taken to hold it for ever."""
LOOKS = 6
"""In that time."""


def end_with_task_manager() -> None:
    """End this worker when its TaskManager is gone, however that ended, or a handler holds the interpreter.

    Flink starts workers by a shell script and ends them in its own orderly shutdown. After a ``kill -9`` of
    the TaskManager nobody would, and the worker would go on calling the model. A worker whose interpreter is
    held (by a search with a pattern that takes for ever, say) hears no order either: it would go on after its
    job. It leaves word of where it was held, and Flink restarts its job.
    """
    task_manager = os.pidfd_open(_parent(os.getppid()))
    threading.Thread(target=watch, args=(task_manager,), name="headrace-watch", daemon=True).start()


def watch(process: int, held_s: float = HELD_S) -> None:
    """Returns never: the worker ends with the process of that descriptor, or held for `held_s` seconds."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    while True:
        # Its clock runs in a thread that needs no interpreter: only who holds none can wind it up again.
        faulthandler.dump_traceback_later(held_s, exit=True, file=sys.__stderr__ or sys.stderr)
        if poll.poll(1000 * held_s / LOOKS):
            os._exit(1)


def _parent(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    _, _, after_name = stat.rpartition(")")
    return int(after_name.split()[1])
