"""An agent's change of version on Kubernetes: proved, watched, and undone where it is bad.

Its `FlinkDeployment` is a resource of Pulumi's provider for Kubernetes, which depends on this one: what has
been changed by then is no change any more, and where this one fails that one is left alone.
"""

from __future__ import annotations

import json
import logging
from typing import ClassVar

from pydantic import ValidationError

from headrace.errors import HeadraceError
from headrace.plan.upgrades import AgentVersion, judge
from headrace.provider.aws.agents.cluster import Unreachable
from headrace.provider.aws.agents.deployment import digest_of, job_spec_of, running
from headrace.provider.aws.agents.inputs import AgentUpgradeInputs
from headrace.provider.aws.agents.place import AgentPlace
from headrace.provider.aws.agents.pods import now_ms
from headrace.provider.resource import JsonObject, Kind
from headrace.upgrades.substrate import Tell
from headrace.upgrades.upgrade import AgentUpgrade, end_interrupted, give_up

log = logging.getLogger(__name__)


class AgentUpgradeKind(Kind[AgentUpgradeInputs]):
    token = "headrace-aws:index:AgentUpgrade"
    inputs = AgentUpgradeInputs
    settled: ClassVar = {"status": "settled"}
    replace_on = frozenset({"agent", "namespace"})
    unobserved = frozenset({"kubeconfig", "pod", "rest_port", "manifest", "healthy_for_s", "drains_runs"})

    def identify(self, inputs: AgentUpgradeInputs) -> str:
        return f"{inputs.namespace}/{inputs.name}"

    def create(self, inputs: AgentUpgradeInputs) -> JsonObject:
        """Bring the deployment that there is to this version; one that is not there yet is somebody else's to
        make. What runs is what is in the cluster, whatever the engine remembers."""
        tell = _teller(inputs)
        place = AgentPlace(inputs, tell)
        if place.deployment() is None:
            give_up(place.history, "the deployment was removed")
            return _settled(inputs)
        end_interrupted(inputs, place, tell)
        if place.running() == inputs.digest:
            return _settled(inputs)
        found = place.deployment()
        if found is not None and _is_known(found["spec"]) and place.has_job() and place.comes_up():
            AgentUpgrade(inputs.running_instead(found["spec"]), inputs, place, tell).run()
        else:
            tell("no job of it runs: it is started with its new version, which is neither proved nor watched")
            place.change(running(inputs.spec, None, now_ms()))
        return _settled(inputs)

    def read(self, inputs: AgentUpgradeInputs) -> JsonObject | None:
        place = AgentPlace(inputs, _teller(inputs))
        try:
            if place.history.unfinished():
                return {"status": "interrupted"}
            found = place.deployment()
        except Unreachable as error:
            log.warning("agent %s was not looked at: %s", inputs.name, error)
            return {"status": "unreachable"}
        return _settled(inputs) | ({"digest": digest_of(found["spec"])} if found else {})

    def delete(self, inputs: AgentUpgradeInputs) -> None:
        """What is written down of upgrades goes with the namespace."""

    def differences(self, old: JsonObject, new: JsonObject) -> dict[str, bool]:
        changed = super().differences(old, new)
        if not changed and old.get("digest") != AgentUpgradeInputs.model_validate(new).digest:
            changed["digest"] = False
        return changed

    def foretold(self, old: JsonObject, new: JsonObject) -> str:
        """Raises HeadraceError: the state of the version that runs is nothing for this one."""
        agent, wanted = new["agent"], _version(new)
        try:
            before = _version(old)
        except (ValidationError, ValueError, KeyError):
            return f"agent {agent}: what runs was specified by another Headrace, and is not judged"
        judgement = judge(before, wanted)
        if judgement.kind == "refused":
            raise HeadraceError(f"{judgement.text}\nNothing was changed")
        if judgement.kind != "nothing":
            return judgement.text
        if digest_of(json.loads(old["deployment"])) == digest_of(json.loads(new["deployment"])):
            return ""
        return (
            f"agent {agent} is stopped with a savepoint, and goes on from it with its state\n"
            "  - deployment: its pods or its Flink are others; its code and its declaration are the same"
        )


def _version(recorded: JsonObject) -> AgentVersion:
    spec = job_spec_of(json.loads(recorded["deployment"]))
    return AgentVersion.read(spec.model_dump(mode="json"), recorded.get("manifest", ""))


def _is_known(spec: JsonObject) -> bool:
    """Whether the job is one of a runtime that this one can judge."""
    try:
        job_spec_of(spec)
    except ValueError:
        return False
    return True


def _teller(inputs: AgentUpgradeInputs) -> Tell:
    return lambda said: log.info("agent %s: %s", inputs.name, said)


def _settled(inputs: AgentUpgradeInputs) -> JsonObject:
    return {"status": "settled", "digest": inputs.digest}
