"""What an agent's job is made of on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headrace.local.files import StackFiles
from headrace.local.provider.resource import Inputs
from headrace_agents.spec import AgentJobSpec


class AgentJobInputs(Inputs):
    root: str
    flink_endpoint: str
    object_store_endpoint: str
    spec: dict[str, Any]
    """An ``AgentJobSpec`` as JSON."""
    command: tuple[str, ...]
    """Starts the client that submits the job; the specification's file and what to wait for are added."""
    client_files: dict[str, str]
    """Configuration folder of Flink's client."""
    environment: dict[str, str]
    packages: dict[str, str]
    """Folders of the packages that the job's code is in, by name."""
    healthy_for_s: float
    """How long a new version is watched before the old one is given up."""

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def job_spec(self) -> AgentJobSpec:
        return AgentJobSpec.model_validate(self.spec)

    @property
    def digest(self) -> str:
        """What is compared with the running job's."""
        return self.job_spec.digest()

    @property
    def files(self) -> StackFiles:
        return StackFiles(Path(self.root))


def folder_name(agent: str) -> str:
    """An agent's folder of configuration; prefixed, so that no agent's name meets a process's."""
    return f"agent-{agent}"
