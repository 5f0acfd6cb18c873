"""What providers did, in order: a line of JSON for each operation, with its times."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Operation:
    """One call of the engine that changes or reads a resource."""

    op: str
    """``create``, ``read``, ``update`` or ``delete``."""
    type: str
    name: str
    start: float
    """Seconds since the epoch, as is `end`."""
    end: float
    failed: bool


@dataclass
class Journal:
    """Appends to `file`; each operation is delayed by up to `delay_s` before and after, drawn from `seed`."""

    file: Path
    delay_s: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(f"{self.seed} {os.getpid()}")
        self._lock = threading.Lock()

    @contextmanager
    def operation(self, op: str, kind: str, name: str) -> Iterator[None]:
        start, failed = time.time(), True
        with self._lock:
            before, after = (self._random.uniform(0, self.delay_s) for _ in range(2))
        try:
            time.sleep(before)
            yield
            time.sleep(after)
            failed = False
        finally:
            self._append(Operation(op, kind, name, start, time.time(), failed))

    def _append(self, operation: Operation) -> None:
        line = json.dumps(asdict(operation))
        # One write in append mode: other providers write to the same file.
        with self._lock, self.file.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def operations(file: Path) -> list[Operation]:
    """What was done, in the order in which it ended."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return [Operation(**json.loads(line)) for line in text.splitlines()]
