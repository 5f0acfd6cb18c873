"""Recorded events through an agent that touches nothing: what would it decide, at what cost, how fast?

``python -m headrace_agents.rehearsal --job FILE`` reads a :class:`Job`, asks the model, and writes a
:class:`Rehearsed` for each event to standard output, a line each, as they end. Memory starts empty and stays
in this process; decisions, reminders and questions go nowhere; steps are not made.

The live agent knows nothing of it: a rehearsal takes a :data:`SHARE` of the limits of each model, and budgets
do not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, redirect_stdout
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic_core import from_json, to_json

from headrace_agents.agent import Agent, AgentError, LoadedAgent, load
from headrace_agents.chat import ChatModel
from headrace_agents.codec import SettingsVersion
from headrace_agents.configuration import Configurations, canonical
from headrace_agents.embedding import EmbeddingModel
from headrace_agents.events import EventReader, Reading
from headrace_agents.model.concurrency import embedding_shared_out, shared_out
from headrace_agents.model.connecting import connected, embedding_connected, endpoint_state, state_of
from headrace_agents.operator import memory_format
from headrace_agents.records import InputRecord, Position, idempotency_key
from headrace_agents.rehearsal_job import Decided, Job, Rehearsed
from headrace_agents.runs import AgentRuns, Attempt, Deadline, RunRequest, RunResult
from headrace_agents.spec import AgentJobSpec
from headrace_agents.step_protocol import StepKind
from headrace_agents.steps import About, Execute, RunSteps

SHARE = 4
"""One part of so many of what a model takes a minute, and of what one subtask has in flight."""


class CutOffError(BaseException):
    """The run came to something that is not done in a rehearsal."""


class _Steps(RunSteps):
    """Asks the agent what a step would have given."""

    cut_off_at: str | None = None

    def __init__(
        self,
        key: Callable[[str, int], str],
        rehearse: Callable[[str, list[Any], dict[str, Any]], Awaitable[Any]],
        *,
        run_tools: bool,
        clock: Callable[[], int],
    ) -> None:
        super().__init__((), key, clock=clock)
        self._rehearse, self._run_tools = rehearse, run_tools

    async def run(
        self, name: str, inputs: bytes, execute: Execute, *, kind: StepKind, about: About | None = None
    ) -> bytes:
        if kind == "tool" and not self._run_tools:
            raise self._cut_off(name)
        if kind == "step":
            execute = self._in_place_of(name, inputs)
        return await super().run(name, inputs, execute, kind=kind, about=about)

    def _in_place_of(self, name: str, inputs: bytes) -> Execute:
        async def execute(_idempotency_key: str) -> bytes:
            arguments, options = from_json(inputs)
            try:
                return to_json(await self._rehearse(name, arguments, options))
            except NotImplementedError:
                raise self._cut_off(name) from None

        return execute

    def _cut_off(self, name: str) -> CutOffError:
        self.cut_off_at = self.cut_off_at or name
        return CutOffError(name)


class _Waiting(NamedTuple):
    reading: Reading
    record: InputRecord


class Rehearsal:
    """Runs of one version of an agent. Raises AgentError, as :func:`load` does."""

    def __init__(self, job: Job, agent: LoadedAgent | None = None) -> None:
        spec = job.spec
        self._job, self._spec = job, spec
        self._agent = agent or load(spec.entry_point, spec.settings)
        self._settings = SettingsVersion(0, canonical(job.patch))
        self._instance: Agent[Any, Any, Any] = Configurations(self._agent).instance(self._settings.patch)
        self._reader = EventReader(spec, self._agent)
        self._format = memory_format(spec, self._agent)
        self._runs = AgentRuns(spec, self._agent, self._format, clock=_now_ms)
        self._memory: dict[bytes, bytes] = {}
        # Never the live run's keys or those of another rehearsal: an endpoint that knows its keys would give
        # it that one's answer.
        self._keys_of = f"{spec.name}/rehearsal/{secrets.token_hex(16)}"

    async def run(
        self,
        told: Callable[[Rehearsed], None],
        model: ChatModel | None,
        embedding: EmbeddingModel | None = None,
        *,
        at_once: int,
    ) -> None:
        """Each key's events in their order, so many keys at once; ``told`` hears of each event."""
        keys: dict[bytes, list[_Waiting]] = defaultdict(list)
        for record in sorted((event.record for event in self._job.events), key=_by_time):
            reading = self._reader.read(record)
            if reading.work is None or reading.business_key is None:
                told(_without_run(reading))
            else:
                keys[reading.business_key].append(_Waiting(reading, record))
        free = asyncio.Semaphore(at_once)

        async def all_of(waiting: Sequence[_Waiting]) -> None:
            async with free:
                for each in waiting:
                    told(await self._one(each, model, embedding))

        async with asyncio.TaskGroup() as group:
            for waiting in keys.values():
                group.create_task(all_of(waiting))

    async def _one(
        self, waiting: _Waiting, model: ChatModel | None, embedding: EmbeddingModel | None
    ) -> Rehearsed:
        reading, record = waiting
        key, work = reading.business_key, reading.work
        if key is None or work is None:
            raise AssertionError("only an event that a handler is to see is run")
        request = RunRequest(
            shard=0,
            business_key=key,
            raw_key=record.key or b"",
            position=reading.position,
            record=record.position,
            committed_at_ms=reading.committed_at_ms,
            accepted_at_ms=record.timestamp_ms,
            work=work,
            memory=self._memory.get(key),
            settings=self._settings,
        )
        steps = _Steps(
            lambda name, occurrence: idempotency_key(self._keys_of, key, reading.position, name, occurrence),
            self._instance.rehearse,
            run_tools=self._job.run_tools,
            clock=_now_ms,
        )
        attempt = Attempt(steps, Deadline(self._spec.limits.run_deadline_ms / 1000))
        try:
            result = await self._runs.run(request, attempt, model, embedding)
        except BaseException:
            # Whatever it became on its way out of a task group.
            if steps.cut_off_at is None:
                raise
            result = None
        if result is None or steps.cut_off_at is not None:
            # A handler may have gone on without what it would have got.
            return _told(reading.position, steps, "cut_off", steps.cut_off_at or "")
        if result.memory is not None:
            self._memory[key] = result.memory
        return _outcome(reading.position, steps, result)


def _outcome(position: Position, steps: RunSteps, result: RunResult) -> Rehearsed:
    ms = result.finished_at_ms - result.started_at_ms
    if result.rejected is not None:
        why = f"{result.rejected.reason}: {result.rejected.detail}"
        return _told(position, steps, "dead_lettered", why, ms=ms)
    decisions = tuple(Decided(kind=each.kind, decision=each.decision) for each in result.decisions)
    return _told(position, steps, "decided", ms=ms, decisions=decisions)


def _told(
    position: Position,
    steps: RunSteps,
    status: Literal["decided", "dead_lettered", "cut_off"],
    detail: str = "",
    **more: Any,
) -> Rehearsed:
    log = steps.log
    return Rehearsed(
        **position._asdict(),
        status=status,
        detail=detail,
        calls=sum(step.attempts for step in log),
        tokens=sum(step.input_tokens + step.output_tokens for step in log),
        picodollars=sum(step.picodollars for step in log),
        **more,
    )


def _without_run(reading: Reading) -> Rehearsed:
    rejected = reading.rejected
    status: Literal["decided", "dead_lettered"] = "decided" if rejected is None else "dead_lettered"
    detail = "" if rejected is None else f"{rejected.reason}: {rejected.detail}"
    return Rehearsed(**reading.position._asdict(), status=status, detail=detail)


def _by_time(record: InputRecord) -> tuple[int, Position]:
    return record.timestamp_ms, record.position


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _share_of(spec: AgentJobSpec) -> AgentJobSpec:
    """With the calls in flight of a rehearsal."""
    parts = SHARE * spec.parallelism
    return spec.model_copy(
        update={"model": shared_out(spec, parts), "embedding": embedding_shared_out(spec, parts)}
    )


@asynccontextmanager
async def _models(spec: AgentJobSpec) -> AsyncIterator[tuple[ChatModel | None, EmbeddingModel | None]]:
    model = None if spec.model is None else connected(spec.model, state_of(spec.model, subtasks=SHARE))
    embedding = (
        None
        if spec.embedding is None
        else embedding_connected(spec.embedding, endpoint_state(spec.embedding, subtasks=SHARE))
    )
    try:
        yield model, embedding
    finally:
        for each in (model, embedding):
            if each is not None:
                await each.close()


def rehearse(job: Job, told: Callable[[Rehearsed], None]) -> None:
    """Raises AgentError, and OSError where the file of a key can't be read."""
    rehearsal = Rehearsal(job)
    spec = _share_of(job.spec)
    at_once = 1 if spec.model is None else spec.model.concurrency or spec.model.max_concurrency

    async def run() -> None:
        async with _models(spec) as (model, embedding):
            await rehearsal.run(told, model, embedding, at_once=at_once)

    asyncio.run(run())


def main(arguments: Iterable[str]) -> None:
    parser = argparse.ArgumentParser(prog="headrace_agents.rehearsal", description=__doc__.splitlines()[0])
    parser.add_argument("--job", type=Path, required=True, help="file with a Job as JSON")
    path = parser.parse_args(list(arguments)).job
    lines = sys.stdout

    def told(one: Rehearsed) -> None:
        lines.write(one.model_dump_json() + "\n")
        lines.flush()

    try:
        # What an agent prints is no result.
        with redirect_stdout(sys.stderr):
            rehearse(Job.model_validate_json(path.read_bytes()), told)
    except (AgentError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
