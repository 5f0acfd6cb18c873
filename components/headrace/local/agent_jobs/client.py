"""Flink's client that submits an agent's job: made ready first, let go when there is a snapshot for it.

Until it is let go it has changed nothing. It ends by itself when who started it is gone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from contextlib import suppress
from typing import Self

from headrace.errors import HeadraceError
from headrace.local.agent_jobs.inputs import MANIFEST, SPEC, AgentJobInputs, folder_name
from headrace.local.agent_jobs.job import AgentJob
from headrace.local.agent_jobs.releases import release_of
from headrace.local.files import last_lines
from headrace.waiting import wait_until
from headrace_agents.flink.ready import READY

READY_TIMEOUT_S = 300
SUBMIT_TIMEOUT_S = 180
ENDS_WITHIN_S = 60
"""A client whose job Flink has."""
STAYS_S = 1800
"""A client that nobody lets go, nor ends."""
LAST_LINES = 40


class JobClient:
    """One attempt at submitting a job. Use it as a context: what was not let go is ended."""

    def __init__(self, inputs: AgentJobInputs) -> None:
        self._inputs, self._job = inputs, AgentJob(inputs)
        files = inputs.files
        self._folder = folder = files.etc(folder_name(inputs.name))
        self._log = files.log(f"submit-{inputs.name}")
        self._go = folder / f"go-{uuid.uuid4().hex}.json"
        release_of(inputs)
        folder.mkdir(parents=True, exist_ok=True)
        for earlier in folder.glob("go-*.json"):
            earlier.unlink()
        for name, content in inputs.client_files.items():
            (folder / name).write_text(content)
        self._submitted = False
        self._spec = folder / "next-job.json"
        self._spec.write_text(json.dumps(inputs.spec, indent=2))
        waits = ("--spec", str(self._spec), "--go", str(self._go), "--of", str(os.getpid()))
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("w") as output:
            self._process = subprocess.Popen(
                ["timeout", str(STAYS_S), *inputs.command, *waits],
                env=os.environ | inputs.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(subprocess.TimeoutExpired):
            # One that has submitted its job ends by itself.
            self._process.wait(0 if not self._submitted else ENDS_WITHIN_S)
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
        self._go.unlink(missing_ok=True)

    def wait_until_ready(self) -> None:
        """Raises HeadraceError when it can't submit the job."""
        wait_until(f"the client of agent {self._inputs.name}", self._is_ready, READY_TIMEOUT_S)

    def go(self, snapshot: str | None) -> None:
        """Let it go, and wait until Flink has the job. Raises HeadraceError when Flink does not take it."""
        (self._folder / MANIFEST).write_text(self._inputs.manifest)
        # A copy: the client may not have read its own yet.
        shutil.copyfile(self._spec, self._folder / SPEC)
        part = self._go.with_suffix(".part")
        part.write_text(json.dumps({"snapshot": snapshot}))
        part.rename(self._go)
        wait_until(f"agent {self._inputs.name} submitted", self._is_submitted, SUBMIT_TIMEOUT_S)
        self._submitted = True

    def _is_submitted(self) -> bool:
        """Flink says so before the client's own end, which takes seconds."""
        return self._has_ended() or bool(self._job.all())

    def _is_ready(self) -> bool:
        return self._has_ended() or READY in self._log.read_text(errors="replace")

    def _has_ended(self) -> bool:
        status = self._process.poll()
        if status:
            raise HeadraceError(
                f"agent {self._inputs.name} can't be submitted (whole output: {self._log}):\n"
                + last_lines(self._log, LAST_LINES)
            )
        return status is not None
