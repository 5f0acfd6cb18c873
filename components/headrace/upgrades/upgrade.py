"""An upgrade of an agent: proof, cutover, watch, and the way back.

Each phase is written down before it begins (:mod:`headrace.upgrades.record`), so that an interrupted command
is taken up again by the next one:

============  =====================================================================================
interrupted   the next command
============  =====================================================================================
proving       proves again; nothing had been changed
cutting over  starts the new version where none runs; proves again where the old one still runs
watching      watches again
rolling back  ends the rollback, and fails with its reason
any           where another version is wanted by then, first brings the old one back
============  =====================================================================================
"""

from __future__ import annotations

import getpass
import time
from typing import Generic

from headrace.errors import HeadraceError
from headrace.plan.upgrades import same_code
from headrace.upgrades.gate import MOST_FAILURES, Look, Verdict
from headrace.upgrades.proof import Refused
from headrace.upgrades.record import (
    Cutover,
    Gap,
    History,
    OutcomeOfUpgrade,
    Phase,
    Upgrade,
    Version,
    new_id,
)
from headrace.upgrades.substrate import Start, Substrate, Tell, V, VersionInputs
from headrace.upgrades.watching import watch
from headrace.waiting import WaitCancelled
from headrace_agents.upgrades.conduct import Conduct
from headrace_agents.upgrades.told import CaughtUp


class RolledBack(HeadraceError):
    """The new version was undone; the earlier one runs."""


class AgentUpgrade(Generic[V]):
    """Of an agent from the inputs that were recorded to others."""

    def __init__(self, old: V, new: V, substrate: Substrate[V], tell: Tell) -> None:
        self._old, self._new = old, new
        self._substrate, self._tell = substrate, tell
        self._topics, self._history = substrate.topics, substrate.history

    def run(self) -> None:
        """Bring the agent to its new version.

        Raises:
            Refused: the new version can't read the state; the old one runs on.
            RolledBack: it was bad, or could not be started.
            HeadraceError: it could not be tried; what was interrupted goes on with the next command.
        """
        self._substrate.reach()
        upgrade = Upgrade(
            id=new_id(self._new.name, _now_ms()),
            agent=self._new.name,
            by=getpass.getuser(),
            started_at_ms=_now_ms(),
            before=_version(self._old),
            after=_version(self._new),
            conduct=self._conduct(),
        )
        self._history.write(upgrade)
        upgrade.proof = self._proved(upgrade)
        # What starts takes longest is made ready while the old version still decides.
        with self._substrate.starting(self._new) as start:
            self._tell("making the new version ready")
            try:
                start.wait_until_ready()
            except WaitCancelled:
                raise
            except HeadraceError as error:
                self._end(upgrade, "refused", str(error))
                raise
            self._enter(upgrade, "cutting_over")
            self._cut_over(upgrade, start)
        self._judged(upgrade)

    def take_up(self, upgrade: Upgrade) -> None:
        """Go on with an upgrade that was interrupted at its cutover or later. Raises as :meth:`run` does."""
        self._tell(f"going on with {upgrade.id}, which was interrupted while {upgrade.phase}")
        if upgrade.phase == "rolling_back":
            self._roll_back(upgrade)
            raise RolledBack(_told(upgrade))
        if self._substrate.has_job():
            self._wait_for_start(upgrade)
        else:
            with self._substrate.starting(self._new) as start:
                start.wait_until_ready()
                self._cut_over(upgrade, start)
        self._judged(upgrade)

    def undo(self, upgrade: Upgrade, reason: str) -> None:
        """Bring the agent back to where an interrupted upgrade began."""
        upgrade.reason = reason
        self._roll_back(upgrade)

    def _judged(self, upgrade: Upgrade) -> None:
        if not upgrade.reason:
            self._watch(upgrade)
        if upgrade.reason:
            self._roll_back(upgrade)
            raise RolledBack(_told(upgrade))
        self._end(upgrade, "upgraded", "")

    # Proof

    def _proved(self, upgrade: Upgrade) -> dict[str, object] | None:
        """The report; None where nothing is to be proved."""
        if same_code(self._old.job_spec, self._new.job_spec):
            self._tell("the code is the one that wrote the state: nothing is to be proved")
            return None
        try:
            report = self._substrate.prove(self._new)
        except Refused as refused:
            upgrade.proof = refused.report
            self._end(upgrade, "refused", str(refused))
            raise
        if report is None:
            self._tell("there is no state to prove the new version on")
        return report

    # Cutover

    def _cut_over(self, upgrade: Upgrade, start: Start) -> None:
        wound_down_s = self._wind_down()
        began = time.monotonic()
        self._substrate.stop()
        stopped = time.monotonic()
        snapshot = self._substrate.newest_snapshot()
        if upgrade.cutover is None:
            upgrade.cutover = self._cutover(upgrade, snapshot)
            self._history.write(upgrade)
        try:
            if not self._substrate.has_job():  # the command before may have started it
                start.go(snapshot)
        except WaitCancelled:
            raise
        except HeadraceError as error:
            upgrade.reason = _does_not_start(error)
            return
        submitted = time.monotonic()
        self._wait_for_start(upgrade)
        if upgrade.reason:
            return
        upgrade.gap = Gap(
            wind_down_s=wound_down_s,
            stop_s=stopped - began,
            submit_s=submitted - stopped,
            start_s=time.monotonic() - submitted,
        )
        self._tell(f"the new version runs after {upgrade.gap.total_s:.1f} s without a job")

    def _cutover(self, upgrade: Upgrade, snapshot: str | None) -> Cutover:
        """Where the new version begins. Where that can't be told, the old one is started again."""
        try:
            outcomes, runs = self._topics.ends(self._old.job_spec)
        except WaitCancelled:
            raise
        except HeadraceError as error:
            self._tell("the old version is started again")
            with self._substrate.starting(self._old) as start:
                start.wait_until_ready()
                start.go(snapshot)
            self._end(upgrade, "refused", f"what is decided by now can't be read: {error}")
            raise
        return Cutover(snapshot=snapshot or "", outcomes=outcomes, runs=runs, at_ms=_now_ms())

    def _wait_for_start(self, upgrade: Upgrade) -> None:
        try:
            self._substrate.wait_until_running(MOST_FAILURES)
        except WaitCancelled:
            raise
        except HeadraceError as error:
            upgrade.reason = _does_not_start(error)

    def _wind_down(self) -> float | None:
        """How long it took; None where runs in flight are resumed.

        What could not be told is no reason not to go on: its runs are resumed.
        """
        if not self._new.drains_runs or not self._substrate.has_job():
            return None
        self._tell("runs in flight end; none is started")
        began = time.monotonic()
        try:
            missing = self._topics.wind_down(self._old.job_spec)
        except WaitCancelled:
            raise
        except HeadraceError as error:
            self._tell(f"runs in flight are resumed: {error}")
            return time.monotonic() - began
        if missing:
            self._tell(f"runs of {missing} shards had not ended by their deadline: they are resumed")
        return time.monotonic() - began

    # The gate

    def _watch(self, upgrade: Upgrade) -> None:
        cutover = upgrade.cutover
        if cutover is None:
            raise AssertionError("what is watched was cut over")
        self._enter(upgrade, "watching")

        def seen(look: Look, verdict: Verdict) -> None:
            upgrade.looks = (*upgrade.looks[:1], look)
            self._history.write(upgrade)
            self._tell(
                f"watching: {verdict.reason}; {look.conduct.events} events decided, {look.backlog} wait"
            )

        verdict = watch(self._new, self._substrate, upgrade.conduct, cutover, seen)
        upgrade.reason = verdict.reason if verdict.kind == "bad" else ""
        if upgrade.gap is not None and not upgrade.reason:
            upgrade.gap = self._with_decisions(upgrade.gap, cutover)

    def _with_decisions(self, gap: Gap, cutover: Cutover) -> Gap:
        """A figure, for which nothing is to fail."""
        try:
            decisions_s = self._topics.between_decisions_s(self._new.job_spec, cutover.outcomes)
        except WaitCancelled:
            raise
        except HeadraceError:
            return gap
        return gap.model_copy(update={"decisions_s": decisions_s})

    # The way back

    def _roll_back(self, upgrade: Upgrade) -> None:
        """Returns when the earlier version runs again."""
        self._enter(upgrade, "rolling_back")
        self._tell(f"rolling back: {upgrade.reason}")
        cutover, spec = upgrade.cutover, self._old.job_spec
        if cutover is None:
            raise AssertionError("what is rolled back was cut over")
        # The earlier version runs already where a rollback was interrupted late.
        self._substrate.undo(upgrade.after.digest)
        if upgrade.undoing is None:
            upgrade.undoing = self._topics.undoing(spec)
            self._history.write(upgrade)
        if not self._substrate.has_job():
            self._topics.note_decided(spec, upgrade.id, cutover, upgrade.undoing)
            with self._substrate.starting(self._old) as start:
                start.wait_until_ready()
                if not self._substrate.has_job():
                    start.go(cutover.snapshot or None)
        self._substrate.wait_until_running()
        upgrade.caught_up = self._topics.catch_up(spec, upgrade.id, cutover, upgrade.undoing)
        self._end(upgrade, "rolled_back", upgrade.reason)

    # What is written down

    def _conduct(self) -> Conduct:
        try:
            return self._topics.conduct(self._old.job_spec)
        except HeadraceError as error:
            raise HeadraceError(f"how agent {self._old.name} does can't be read: {error}") from error

    def _enter(self, upgrade: Upgrade, phase: Phase) -> None:
        upgrade.phase = phase
        self._history.write(upgrade)

    def _end(self, upgrade: Upgrade, outcome: OutcomeOfUpgrade, reason: str) -> None:
        _end(self._history, upgrade, outcome, reason)


def end_interrupted(wanted: V, substrate: Substrate[V], tell: Tell) -> V | None:
    """End the agent's upgrade that was interrupted, for a command that wants the agent as `wanted`.

    Returns:
        The version that runs by then; None where no upgrade was interrupted, or nothing of it was done: then
        it is the one that the engine knows.

    Raises:
        RolledBack: it was being undone, or is bad.
        HeadraceError: as :meth:`AgentUpgrade.run` does.
    """
    history = substrate.history
    interrupted = history.unfinished()
    if interrupted is None:
        return _ended_unheard(substrate)
    before, after = (substrate.recorded(each.inputs) for each in (interrupted.before, interrupted.after))
    upgrade = AgentUpgrade(before, after, substrate, tell)
    substrate.reach()
    runs = substrate.running()
    known = {None, before.digest, after.digest}
    untouched = interrupted.phase == "proving" or (interrupted.cutover is None and runs == before.digest)
    if untouched or runs not in known:
        _end(history, interrupted, "superseded", "it was interrupted before its cutover, or another came")
        return None
    if interrupted.phase == "rolling_back" or wanted.digest == after.digest:
        upgrade.take_up(interrupted)
        return after
    if interrupted.cutover is None:
        # Stopped, and nothing of the new version was ever started.
        _end(history, interrupted, "superseded", "another version was wanted before it was started")
        return None
    upgrade.undo(interrupted, "another version was wanted before this one had been found healthy")
    return before


def give_up(history: History, why: str) -> None:
    """End an upgrade that was interrupted, of an agent that is not there any more."""
    if (interrupted := history.unfinished()) is not None:
        _end(history, interrupted, "superseded", why)


def _ended_unheard(substrate: Substrate[V]) -> V | None:
    """The version of an upgrade that ended well, and whose command was killed before the engine knew."""
    newest = next(reversed(substrate.history.all()), None)
    if newest is None or newest.outcome != "upgraded":
        return None
    substrate.reach()
    return substrate.recorded(newest.after.inputs) if substrate.running() == newest.after.digest else None


def _end(history: History, upgrade: Upgrade, outcome: OutcomeOfUpgrade, reason: str) -> None:
    ended = {"phase": "ended", "outcome": outcome, "reason": reason, "ended_at_ms": _now_ms()}
    history.write(upgrade.model_copy(update=ended))


def _version(inputs: VersionInputs) -> Version:
    return Version(digest=inputs.digest, code=inputs.job_spec.code, inputs=inputs.model_dump(mode="json"))


def _does_not_start(error: HeadraceError) -> str:
    return f"the new version does not start: {error}"


def _told(upgrade: Upgrade) -> str:
    caught_up = upgrade.caught_up or CaughtUp(decided=0, dead_lettered=0, in_memory=0)
    undone = "the new version was undone, the earlier one runs again from the cutover"
    lines = [
        f"agent {upgrade.agent}: {undone}: {upgrade.reason}",
        f"it had decided {caught_up.decided} events: {caught_up.in_memory} are in memory",
    ]
    if caught_up.dead_lettered:
        lines.append(
            f"{caught_up.dead_lettered} of them are dead letters; to have them decided after all:"
            f" headrace deadletters replay {upgrade.agent}"
        )
    if missing := len(caught_up.not_in_memory) + caught_up.unreported:
        lines.append(f"{missing} are not in memory; which: headrace upgrades show {upgrade.id}")
    return "\n".join(lines)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
