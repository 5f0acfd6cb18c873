"""What an agent's job is made of on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from headrace.local.files import StackFiles
from headrace.plan.upgrades import AgentVersion, flink_step, same_code
from headrace.provider.resource import Inputs, JsonObject
from headrace_agents.spec import AgentJobSpec


class AgentJobInputs(Inputs):
    root: str
    flink_endpoint: str
    object_store_endpoint: str
    spec: dict[str, Any]
    """An ``AgentJobSpec`` as JSON."""
    manifest: str = ""
    """Of the agent's version, as JSON: text, as the engine keeps no null. Empty where nobody knows it."""
    command: tuple[str, ...]
    """Starts the client that submits the job; the specification's file and what to wait for are added."""
    client_files: dict[str, str]
    """Configuration folder of Flink's client."""
    environment: dict[str, str]
    packages: dict[str, str]
    """Folders of the packages that the job's code is in, by name."""
    healthy_for_s: float
    """How long a new version is watched before the old one is given up."""
    drains_runs: bool = False
    """Whether the old version's runs end before this one takes over."""

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


SPEC, MANIFEST = "job.json", "manifest.json"
"""What was submitted last, in the agent's folder of configuration."""


def version_of(recorded: JsonObject) -> AgentVersion:
    """An agent's version of a job's inputs, or of what is recorded of them."""
    return AgentVersion.read(recorded["spec"], recorded.get("manifest", ""))


def submitted(files: StackFiles, agent: str) -> JsonObject | None:
    """What a job's inputs were when it was submitted last, whether the engine remembers it or not."""
    folder = files.etc(folder_name(agent))
    try:
        spec = json.loads((folder / SPEC).read_text())
    except (OSError, ValueError):
        return None
    manifest = folder / MANIFEST
    return {"spec": spec, "manifest": manifest.read_text() if manifest.exists() else ""}


def wrote_its_state(inputs: AgentJobInputs) -> bool:
    """Whether the state that there may be is by the same code and the same Flink, as far as is known here."""
    known = submitted(inputs.files, inputs.name)
    if known is None:
        return False
    try:
        before = version_of(known)
    except ValidationError:
        return False
    now = version_of(inputs.model_dump(mode="json"))
    return same_code(before.spec, now.spec) and flink_step(before, now) is None


def folder_name(agent: str) -> str:
    """An agent's folder of configuration; prefixed, so that no agent's name meets a process's."""
    return f"agent-{agent}"
