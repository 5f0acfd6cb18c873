"""What new code or a new declaration leads to for agents that run: refused before the engine starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.agents_fit import fitting
from headrace.errors import HeadraceError
from headrace.local.agent import complete
from headrace.local.agent_jobs.inputs import submitted
from headrace.local.provider.agent_job import AgentJobKind
from headrace.local.provider.roster import RosterKind
from headrace.operations.stack import Stack
from headrace.provider.resource import JsonObject


def refuse_upgrades(stack: Stack) -> list[str]:
    """Judge each agent by what the engine remembers of it or, after a `down`, by what was submitted last.

    The engine judges, too, but resource by resource: by then it may have changed others.

    Returns:
        What will happen to agents that the engine does not remember; of the others it tells itself.

    Raises:
        HeadraceError: an agent's state is nothing for its new version, or an agent is gone without a word.
    """
    recorded = _recorded(stack.engine.export())
    refused = [_refusal_of_roster(stack, recorded)]
    said = []
    manifests = fitting(stack.plan, str(stack.declaration), stack.engine.runtimes.agents_python).manifests
    for agent in stack.plan.agents:
        remembered = recorded.get(agent.name)
        old = remembered or submitted(stack.files, agent.name)
        if old is None:
            continue
        spec = complete(agent, stack.files).model_dump(mode="json")
        new = {"spec": spec, "manifest": manifests[agent.spec.entry_point].canonical()}
        try:
            text = AgentJobKind().foretold(old, new)
        except HeadraceError as error:
            refused.append(str(error))
            continue
        if text and not remembered:
            said.append(text)
    if any(refused):
        raise HeadraceError("\n".join(filter(None, refused)))
    return said


def _refusal_of_roster(stack: Stack, recorded: Mapping[str, JsonObject]) -> str:
    names = [agent.name for agent in stack.plan.agents]
    try:
        RosterKind().foretold(
            {"declared": list(recorded)}, {"declared": names, "removed": stack.plan.agents_removed}
        )
    except HeadraceError as error:
        return str(error)
    return ""


def _recorded(state: Mapping[str, Any]) -> dict[str, JsonObject]:
    """By name, of the engine's state: agents' jobs as they were made or changed last."""
    resources = state.get("deployment", {}).get("resources", ())
    jobs = [each["outputs"] for each in resources if each["type"] == AgentJobKind.token and "outputs" in each]
    return {str(job["spec"]["name"]): job for job in jobs}
