"""An agent's topics, read and written in its pods."""

from __future__ import annotations

import json
from collections.abc import Mapping

from headrace.provider.aws.agents.pods import AgentPods
from headrace.upgrades.record import Cutover
from headrace_agents.spec import AgentJobSpec
from headrace_agents.upgrades.conduct import Conduct
from headrace_agents.upgrades.told import CAUGHT_UP_TIMEOUT_S, CaughtUp, Ends, Undoing
from headrace_agents.upgrades.winding_down import SLACK_S

STEP_S = 120


class PodTopics:
    """:class:`headrace.upgrades.substrate.Topics` of brokers that are reached from the cluster alone."""

    def __init__(self, pods: AgentPods) -> None:
        self._pods = pods

    def conduct(self, spec: AgentJobSpec) -> Conduct:
        return Conduct.model_validate(self._pods.ask(spec, STEP_S, "conduct"))

    def wind_down(self, spec: AgentJobSpec) -> int:
        patience_s = STEP_S + SLACK_S + spec.limits.run_deadline_ms / 1000
        return int(self._pods.ask(spec, patience_s, "wind-down"))

    def ends(self, spec: AgentJobSpec) -> tuple[dict[int, int], dict[int, int]]:
        found = Ends.model_validate(self._pods.ask(spec, STEP_S, "ends"))
        return found.outcomes, found.runs

    def between_decisions_s(self, spec: AgentJobSpec, cutover: Mapping[int, int]) -> float | None:
        found = self._pods.ask(spec, STEP_S, "between", outcomes=offsets(cutover))
        return None if found is None else float(found)

    def undoing(self, spec: AgentJobSpec) -> Undoing:
        return Undoing.model_validate(self._pods.ask(spec, STEP_S, "undoing"))

    def note_decided(self, spec: AgentJobSpec, rollback: str, cutover: Cutover, undone: Undoing) -> None:
        self._pods.ask(spec, STEP_S, "note", **_undone(rollback, cutover, undone))

    def catch_up(self, spec: AgentJobSpec, rollback: str, cutover: Cutover, undone: Undoing) -> CaughtUp:
        patience_s = STEP_S + CAUGHT_UP_TIMEOUT_S
        told = self._pods.ask(spec, patience_s, "catch-up", **_undone(rollback, cutover, undone))
        return CaughtUp.model_validate(told)


def offsets(by_partition: Mapping[int, int]) -> str:
    return json.dumps(by_partition)


def _undone(rollback: str, cutover: Cutover, undone: Undoing) -> dict[str, str]:
    return {
        "rollback": rollback,
        "outcomes": offsets(cutover.outcomes),
        "until": undone.model_dump_json(),
    }
