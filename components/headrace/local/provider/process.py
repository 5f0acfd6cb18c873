"""A supervised process: its configuration files, what prepares its data, when it is ready."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import ClassVar

import httpx
from pydantic import BaseModel, ConfigDict, Field

from headrace.errors import HeadraceError
from headrace.local.files import StackFiles, last_lines
from headrace.local.ports import refuse_taken_ports
from headrace.local.secrets import ensure_password
from headrace.local.supervision import Program, Supervisor
from headrace.provider.resource import Inputs, JsonObject, Kind
from headrace.waiting import wait_until

PARTIAL = "{partial}"
LOG_TAIL_LINES = 12

SETTLED = "running"

STARTS_BEFORE_GIVING_UP = 6
"""A process may need a start or two more while what it talks to comes up; one that keeps ending is broken."""


class Preparation(BaseModel):
    """One-time work before the first start: done when `creates` exists.

    A command that names ``{partial}`` writes there; the result is renamed to `creates`, so that an
    interrupted one leaves nothing that looks finished.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    creates: str
    command: tuple[str, ...]


class Readiness(BaseModel):
    """`url` answers with 2xx, or `port` accepts; `port` alone is for protocols other than HTTP."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int
    url: str | None = None
    timeout_s: int = 90


class ProcessInputs(Inputs):
    root: str
    name: str
    command: tuple[str, ...] = Field(min_length=1)
    environment: dict[str, str] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)
    """Name below ``etc/NAME`` -> content."""
    folders: tuple[str, ...] = ()
    """Made before the first start."""
    scratch: tuple[str, ...] = ()
    """Like `folders`, and emptied before a start: what a killed predecessor left is of no use."""
    secrets: tuple[str, ...] = ()
    """Files that get a random password where they are missing."""
    preparation: tuple[Preparation, ...] = ()
    ports: dict[str, int] = Field(default_factory=dict)
    """What each port is for -> port."""
    ready: Readiness | None = None
    stop_signal: str = "TERM"
    stop_wait_s: int = 20
    standby: bool = False
    """Prepared, and started and stopped by scaling: whether it runs is no difference."""
    calls_models: bool = False
    """Gets the credentials for AWS of whoever starts the stack; any other is kept from them."""
    version: str = ""
    """Of the software that runs; another one restarts the process."""


class ProcessKind(Kind[ProcessInputs]):
    token = "headrace-local:index:Process"
    inputs = ProcessInputs
    replace_on = frozenset({"root", "name"})
    settled: ClassVar = {"status": SETTLED}

    def identify(self, inputs: ProcessInputs) -> str:
        return inputs.name

    def create(self, inputs: ProcessInputs) -> JsonObject:
        files = StackFiles(Path(inputs.root))
        supervisor = Supervisor(files)
        unchanged = not _write_files(files, inputs) and supervisor.configured(_program(files, inputs))
        wanted = ("running", "stopped") if inputs.standby else ("running",)
        if unchanged and supervisor.status(inputs.name) in wanted:
            # An interrupted `up` may have started it: adopted, not started twice.
            return self._ready(files, inputs)
        return self._start(files, inputs)

    def read(self, inputs: ProcessInputs) -> JsonObject | None:
        supervisor = Supervisor(StackFiles(Path(inputs.root)))
        status = supervisor.status(inputs.name)
        if status == "absent":
            return None
        return {"status": SETTLED if inputs.standby else status}

    def update(self, old: JsonObject, inputs: ProcessInputs) -> JsonObject:
        files = StackFiles(Path(inputs.root))
        changed_inputs = any(
            is_input for is_input in self.differences(old, inputs.model_dump(mode="json")).values()
        )
        supervisor = Supervisor(files)
        # A `clean` that was interrupted has removed some programs, and the state does not know yet.
        if changed_inputs or not supervisor.configured(_program(files, inputs)):
            _write_files(files, inputs)
            return self._start(files, inputs)
        if not inputs.standby:
            supervisor.ensure_started(inputs.name)
        return self._ready(files, inputs)

    def delete(self, inputs: ProcessInputs) -> None:
        Supervisor(StackFiles(Path(inputs.root))).remove(inputs.name)

    def _start(self, files: StackFiles, inputs: ProcessInputs) -> JsonObject:
        refuse_taken_ports(inputs.ports, files.root)
        supervisor = Supervisor(files)
        supervisor.remove(inputs.name)  # nothing is prepared under a process that runs
        self._prepare(inputs)
        supervisor.run(_program(files, inputs))
        return self._ready(files, inputs)

    def _prepare(self, inputs: ProcessInputs) -> None:
        for folder in inputs.scratch:
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (*inputs.folders, *inputs.scratch):
            Path(folder).mkdir(parents=True, exist_ok=True)
        for secret in inputs.secrets:
            ensure_password(Path(secret))
        for preparation in inputs.preparation:
            _prepare(inputs, preparation)

    def _ready(self, files: StackFiles, inputs: ProcessInputs) -> JsonObject:
        if inputs.ready and not inputs.standby:
            readiness, supervisor, starts = inputs.ready, Supervisor(files), set[int]()

            def ready() -> bool:
                starts.add(supervisor.started_at(inputs.name))
                if len(starts) > STARTS_BEFORE_GIVING_UP:
                    raise HeadraceError(
                        f"{inputs.name} ended {STARTS_BEFORE_GIVING_UP} times before it was ready"
                    )
                return _answers(readiness)

            try:
                wait_until(f"{inputs.name} ready", ready, readiness.timeout_s)
            except HeadraceError as error:
                raise HeadraceError(
                    f"{error}; the end of {files.log(inputs.name)}:\n{_tail(files, inputs)}"
                ) from error
        return {"status": SETTLED}


def _program(files: StackFiles, inputs: ProcessInputs) -> Program:
    return Program(
        name=inputs.name,
        command=inputs.command,
        directory=str(files.root),
        environment=inputs.environment,
        stop_signal=inputs.stop_signal,
        stop_wait_s=inputs.stop_wait_s,
        standby=inputs.standby,
        calls_models=inputs.calls_models,
    )


def _write_files(files: StackFiles, inputs: ProcessInputs) -> bool:
    """Write the configuration; returns whether anything was different."""
    changed = False
    for name, content in inputs.files.items():
        path = files.etc(inputs.name) / name
        if path.exists() and path.read_text() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        changed = True
    return changed


def _prepare(inputs: ProcessInputs, preparation: Preparation) -> None:
    target = Path(preparation.creates)
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    command = [argument.replace(PARTIAL, str(partial)) for argument in preparation.command]
    done = subprocess.run(
        command,
        env=os.environ | inputs.environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise HeadraceError(
            f"{inputs.name} can't be prepared: {command[0]} failed:\n{done.stdout}{done.stderr}"
        )
    if partial.exists():
        partial.rename(target)


def _answers(readiness: Readiness) -> bool:
    if readiness.url:
        try:
            return httpx.get(readiness.url, timeout=2, trust_env=False).is_success
        except httpx.HTTPError:
            return False
    try:
        with socket.create_connection(("127.0.0.1", readiness.port), timeout=2):
            return True
    except OSError:
        return False


def _tail(files: StackFiles, inputs: ProcessInputs) -> str:
    log = files.log(inputs.name)
    if not log.exists():
        return "(it wrote nothing)"
    return last_lines(log, LOG_TAIL_LINES)
