"""An agent on this machine: one Flink job."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pulumi

from headrace.errors import HeadraceError
from headrace.local.context import LocalContext
from headrace.local.files import StackFiles
from headrace.local.flink import client_environment, client_files, storage_options
from headrace.local.provider.agent_job import AgentJobInputs, folder_name
from headrace.local.resources import AgentJobResource
from headrace.local.agent_jobs.releases import code_digest
from headrace.plan.model import AgentPlan
from headrace_agents.spec import AgentJobSpec

RUNTIME_PACKAGE = "headrace_agents"
JOB_PROGRAM = Path(RUNTIME_PACKAGE, "flink", "job.py")
"""In the folder of a release."""


class Agent(pulumi.ComponentResource):
    """The job that runs an agent; its snapshots survive it, and the next job goes on from the newest."""

    def __init__(
        self,
        agent: AgentPlan,
        context: LocalContext,
        depends_on: list[pulumi.Resource],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("headrace:local:Agent", agent.name, None, opts)
        spec = complete(agent, context.files)
        runtimes = context.runtimes
        self.job = AgentJobResource(
            f"{agent.name}-job",
            AgentJobInputs(
                root=context.root,
                flink_endpoint=context.flink_endpoint,
                object_store_endpoint=context.object_store_endpoint,
                spec=spec.model_dump(mode="json"),
                command=(
                    str(runtimes.flink / "bin" / "flink"),
                    "run",
                    "--detached",
                    "--python",
                    str(context.files.release(spec.code) / JOB_PROGRAM),
                ),
                packages={name: str(folder) for name, folder in packages(spec.entry_point).items()},
                client_files=client_files(context),
                environment=client_environment(context, folder_name(agent.name)),
            ),
            pulumi.ResourceOptions(parent=self, depends_on=depends_on),
        )
        self.register_outputs({"decisions": spec.outputs.decisions})


def key_files(files: StackFiles, agent: AgentPlan) -> dict[str, Path]:
    """Where the stack keeps the keys that the declaration names variables for, by the models' paths."""
    # No name of an agent has a dot.
    return {path: files.secret(f"agent-{agent.name}.{path}.key") for path in agent.key_variables}


def complete(agent: AgentPlan, files: StackFiles) -> AgentJobSpec:
    """The plan's specification with what this substrate knows: where files are, what code is there."""
    spec = agent.spec_with_keys({path: str(file) for path, file in key_files(files, agent).items()})
    code = code_digest(packages(spec.entry_point))
    options = storage_options(spec.name) | {"python.pythonpath": str(files.release(code))}
    return spec.model_copy(
        update={"flink_configuration": spec.flink_configuration | options, "code": code}
    )


def packages(entry_point: str) -> dict[str, Path]:
    """Folders of the installed packages that an agent's job runs, the agent's own among them, by name."""
    own = entry_point.partition(":")[0].partition(".")[0]
    return {name: package_folder(name) for name in (RUNTIME_PACKAGE, own)}


def package_folder(package: str) -> Path:
    """Folder of an installed package, found without running its code."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise HeadraceError(
            f"package {package} is not installed: an agent's `entry_point` names a package below agent_jobs/"
        )
    return Path(found.submodule_search_locations[0])

