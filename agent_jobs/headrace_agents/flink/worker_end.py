"""How a Python worker of Flink ends when nobody else ends it."""

from __future__ import annotations

import faulthandler
import os
import select
import sys
import threading
from pathlib import Path
from typing import TextIO

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
    task_manager = _parent(os.getppid())
    process, log = os.pidfd_open(task_manager), _error_output(task_manager)
    threading.Thread(target=watch, args=(process, log), name="headrace-watch", daemon=True).start()


def watch(process: int, log: TextIO | None, held_s: float = HELD_S) -> None:
    """Returns never: the worker ends with the process of that descriptor, or held for `held_s` seconds."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    while True:
        if log is not None:
            # Its clock runs in a thread that needs no interpreter: only who holds none can wind it up again.
            faulthandler.dump_traceback_later(held_s, exit=True, file=log)
        if poll.poll(1000 * held_s / LOOKS):
            os._exit(1)


def _error_output(process: int) -> TextIO | None:
    """Of another process. A worker's own goes nowhere that outlives it: to Beam, which drops it, and to a
    file that Flink removes when the job is restarted."""
    try:
        return Path(f"/proc/{process}/fd/2").open("a", encoding="utf-8")
    except OSError:
        return sys.__stderr__


def _parent(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    _, _, after_name = stat.rpartition(")")
    return int(after_name.split()[1])
