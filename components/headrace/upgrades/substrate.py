"""What an upgrade asks of where an agent runs: of its job, and of its topics.

What fails, fails with a HeadraceError, and an interrupted wait with a WaitCancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, TypeVar

from headrace.upgrades.record import Cutover, History
from headrace_agents.spec import AgentJobSpec
from headrace_agents.upgrades.conduct import Conduct
from headrace_agents.upgrades.told import CaughtUp, Seen, Undoing

Tell = Callable[[str], None]
"""Says how far an upgrade is."""


class VersionInputs(Protocol):
    """All that one version of an agent is made of: inputs of the resource that runs it."""

    @property
    def name(self) -> str:
        """The agent's."""

    @property
    def job_spec(self) -> AgentJobSpec: ...

    @property
    def digest(self) -> str:
        """What is compared with the running job's."""

    @property
    def healthy_for_s(self) -> float:
        """How long a new version is watched before the old one is given up."""

    @property
    def drains_runs(self) -> bool:
        """Whether the old version's runs end before this one takes over."""

    def model_dump(self, *, mode: Literal["json"]) -> dict[str, Any]: ...


V = TypeVar("V", bound=VersionInputs)


class Start(Protocol):
    """A version that is about to start; until :meth:`go` it has changed nothing."""

    def wait_until_ready(self) -> None:
        """Raises HeadraceError when it can't be started."""

    def go(self, snapshot: str | None) -> None:
        """Start it from a snapshot, and return when it can be waited for."""


class Topics(Protocol):
    """An agent's topics."""

    def conduct(self, spec: AgentJobSpec) -> Conduct:
        """Of the latest events."""

    def ends(self, spec: AgentJobSpec) -> tuple[dict[int, int], dict[int, int]]:
        """Of the topics of outcomes and of runs: what is committed, while no job of the agent runs."""

    def wind_down(self, spec: AgentJobSpec) -> int:
        """Have all shards end their runs and start no other; returns how many shards had not told of it by a
        run's deadline."""

    def between_decisions_s(self, spec: AgentJobSpec, cutover: Mapping[int, int]) -> float | None:
        """Between the latest outcome before these offsets of the topic and the earliest behind them."""

    def undoing(self, spec: AgentJobSpec) -> Undoing:
        """Where a version ended that runs no more."""

    def note_decided(self, spec: AgentJobSpec, rollback: str, cutover: Cutover, undone: Undoing) -> None:
        """Note what the undone version decided, in the agent's journal. No job of the agent may run."""

    def catch_up(self, spec: AgentJobSpec, rollback: str, cutover: Cutover, undone: Undoing) -> CaughtUp:
        """Wait until the earlier version has told of all of it."""


class Substrate(Protocol[V]):
    """One agent's place."""

    @property
    def history(self) -> History: ...

    @property
    def topics(self) -> Topics: ...

    def recorded(self, inputs: Mapping[str, Any]) -> V:
        """What a version was made of, of what is written down of it."""

    def reach(self) -> None:
        """Wait until it answers."""

    def has_job(self) -> bool: ...

    def running(self) -> str | None:
        """The digest of the version that has a job, empty where that can't be told; None: there is no job."""

    def prove(self, new: V) -> dict[str, Any] | None:
        """The report on the new version with the state that there is; None where there is none.

        Raises:
            Refused: it can't read that state. Nothing was touched.
        """

    def starting(self, version: V) -> AbstractContextManager[Start]:
        """Begins to make a version ready; what did not go is ended with the context."""

    def stop(self) -> None:
        """With a snapshot that the next version goes on from; fine where nothing runs."""

    def newest_snapshot(self) -> str | None: ...

    def undo(self, digest: str) -> None:
        """End the job of this version, and let nothing go on from the snapshots that it made."""

    def wait_until_running(self, most_failures: int | None = None) -> None:
        """Raises HeadraceError: it does not come to that. Where failures can be told, one that has failed so
        often is not waited for."""

    def watched(self, version: V, cutover: Cutover) -> AbstractContextManager[Callable[[], Seen | None]]:
        """Looks at what the new version does. None where nothing can be told: Flink or Kafka does not answer,
        or the job is being recovered, which is no fault of the version."""
