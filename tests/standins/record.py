"""What stands for resources that nothing real is behind: a file that outlives the provider."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.standins.values import Values


class Record:
    """Resources by type and id, in `file`, which providers and the test share."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def get(self, kind: str, made: str) -> Values | None:
        with self._locked() as held:
            found: Values | None = held.get(kind, {}).get(made)
            return found

    def put(self, kind: str, made: str, values: Values) -> None:
        with self._locked() as held:
            held.setdefault(kind, {})[made] = values

    def remove(self, kind: str, made: str) -> None:
        with self._locked() as held:
            held.get(kind, {}).pop(made, None)

    def all(self, kind: str) -> dict[str, Values]:
        with self._locked() as held:
            return dict(held.get(kind, {}))

    def left(self) -> list[str]:
        """``type id`` of everything that is there."""
        with self._locked() as held:
            return sorted(f"{kind} {made}" for kind, each in held.items() for made in each)

    @contextmanager
    def _locked(self) -> Iterator[dict[str, dict[str, Values]]]:
        """The whole record; what is changed in it is kept. Other providers and the test use the same file."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            text = file.read()
            held: dict[str, dict[str, Values]] = json.loads(text or "{}")
            yield held
            after = json.dumps(held, sort_keys=True, indent=1)
            if after != text:
                file.seek(0)
                file.truncate()
                file.write(after)
