"""Progress of long steps: a ticking line on a terminal, plain lines elsewhere; what a failed step printed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

TICK_SECONDS = 0.2
PLAIN_TICK_SECONDS = 30.0
"""Without a terminal a long step says that it is alive this often."""
SHOWN_LINES = 40
"""Of a failed step's log."""


class StepFailed(Exception):
    """A step did not end well; `str()` tells which, why, and the end of its output."""


@dataclass(frozen=True)
class Finished:
    name: str
    seconds: float


@dataclass
class Console:
    """Where progress goes. `finished` grows with every step that ended well."""

    stream: TextIO
    logs: Path
    """Folder for the output of steps, a file each."""
    finished: list[Finished] = field(default_factory=list)
    _running: dict[str, float] = field(default_factory=dict)
    _children: set[subprocess.Popen[bytes]] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _stopped: bool = False

    def __post_init__(self) -> None:
        self._terminal = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        self._colours = self._terminal and not os.environ.get("NO_COLOR")

    def say(self, text: str) -> None:
        with self._lock:
            self._clear()
            self.stream.write(f"{text}\n")
            self.stream.flush()

    def paint(self, text: str, code: int) -> str:
        """`text` in the terminal's colour `code` (as in SGR), where colours are wanted."""
        return f"\x1b[{code}m{text}\x1b[0m" if self._colours else text

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """One thing a person waits for.

        Raises:
            StepFailed: from the commands run in it.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{name.replace(' ', '-').replace('/', '-').lower()}.log"
        log.write_bytes(b"")
        started = time.monotonic()
        with self._lock:
            self._running[name] = started
        if not self._terminal:
            self.say(f"  ...  {name}")
        try:
            yield Step(self, name, log)
        except BaseException:
            self._end(name, self.paint("stopped" if self._stopped else "failed", 31), started)
            raise
        self._end(name, self.paint("done", 32), started)
        self.finished.append(Finished(name, round(time.monotonic() - started, 1)))

    @contextmanager
    def ticking(self) -> Iterator[None]:
        """Show how long the running steps have taken, for as long as the block runs."""
        over = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(over,), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            over.set()
            ticker.join()
            with self._lock:
                self._clear()

    def stop_children(self) -> None:
        """End every command of every step; their steps fail, and no other command starts."""
        with self._lock:
            self._stopped = True
            for child in self._children:
                try:
                    os.killpg(child.pid, signal.SIGTERM)
                except ProcessLookupError:
                    continue

    def start_child(
        self, argv: Sequence[str], log: Path, cwd: Path | None, env: Mapping[str, str] | None
    ) -> subprocess.Popen[bytes]:
        with self._lock, log.open("ab") as output:
            if self._stopped:
                raise StepFailed("stopped")
            child = subprocess.Popen(
                [*_dies_with_its_parent(), *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=None if env is None else {**os.environ, **env},
                # Its own group, so that its children end with it.
                start_new_session=True,
            )
            self._children.add(child)
            return child

    def forget_child(self, child: subprocess.Popen[bytes]) -> bool:
        """Whether it may count as failed by itself, and not because everything is being stopped."""
        with self._lock:
            self._children.discard(child)
            return not self._stopped

    def _end(self, name: str, verdict: str, started: float) -> None:
        with self._lock:
            del self._running[name]
        self.say(f"  {verdict} {name}  {time.monotonic() - started:.1f} s")

    def _tick(self, over: threading.Event) -> None:
        while not over.wait(TICK_SECONDS if self._terminal else PLAIN_TICK_SECONDS):
            with self._lock:
                now = time.monotonic()
                running = ", ".join(f"{name} {now - since:.0f} s" for name, since in self._running.items())
                if running and self._terminal:
                    width = shutil.get_terminal_size().columns - 1
                    self.stream.write(f"\r\x1b[2K{f'  ...  {running}'[:width]}")
                elif running:
                    self.stream.write(f"  ...  {running}\n")
                self.stream.flush()

    def _clear(self) -> None:
        if self._terminal:
            self.stream.write("\r\x1b[2K")


@dataclass(frozen=True)
class Step:
    """Runs commands whose output goes to the step's log."""

    console: Console
    name: str
    log: Path

    def run(self, *argv: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        """Run a command to its end; `env` is added to this process's environment.

        Raises:
            StepFailed: it did not return 0; with the end of its output.
        """
        child = self.console.start_child([str(part) for part in argv], self.log, cwd, env)
        status = child.wait()
        alone = self.console.forget_child(child)
        if status != 0:
            raise self.failure(f"{Path(argv[0]).name} returned {status}" if alone else "stopped")

    def failure(self, reason: str) -> StepFailed:
        lines = self.log.read_text(errors="replace").splitlines()
        shown = "".join(f"\n    {line}" for line in lines[-SHOWN_LINES:])
        return StepFailed(f"{self.name}: {reason}; all of its output is in {self.log}{shown}")


def _dies_with_its_parent() -> list[str]:
    """A prefix after which a killed setup leaves no build behind, where the machine has the tool."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
