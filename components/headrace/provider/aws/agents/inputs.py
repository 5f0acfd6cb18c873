"""What an agent's version is made of on Kubernetes, and how its cluster is reached."""

from __future__ import annotations

import json
from typing import Any

from headrace.provider.aws.agents.deployment import Spec, digest_of, job_spec_of
from headrace.provider.resource import Inputs
from headrace_agents.spec import AgentJobSpec


class AgentUpgradeInputs(Inputs):
    agent: str
    namespace: str
    kubeconfig: str
    """Without a credential: what it names makes one for whoever uses it."""
    deployment: str
    """The `FlinkDeployment`'s ``spec``, as JSON."""
    pod: str
    """The pod, as JSON, in which the agents' image is asked beside the job; it has one container."""
    rest_port: int
    """Of the job's Flink."""
    manifest: str = ""
    """Of the agent's version, as JSON. Empty where nobody knows it."""
    healthy_for_s: float
    drains_runs: bool = False

    @property
    def name(self) -> str:
        return self.agent

    @property
    def spec(self) -> Spec:
        found: Spec = json.loads(self.deployment)
        return found

    @property
    def job_spec(self) -> AgentJobSpec:
        return job_spec_of(self.spec)

    @property
    def digest(self) -> str:
        return digest_of(self.spec)

    @property
    def image(self) -> str:
        return str(self.spec["image"])

    @property
    def pod_spec(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.pod)
        return found

    def running_instead(self, spec: Spec) -> AgentUpgradeInputs:
        """The same place with another version of the deployment, as it is in the cluster."""
        return self.model_copy(update={"deployment": json.dumps(spec, sort_keys=True), "manifest": ""})
