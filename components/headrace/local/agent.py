"""An agent on this machine: one Flink job."""

from __future__ import annotations

from pathlib import Path

import pulumi

from headrace.errors import HeadraceError
from headrace.local.agent_jobs.inputs import AgentJobInputs, folder_name
from headrace.local.context import LocalContext
from headrace.local.files import StackFiles
from headrace.local.flink import client_environment, client_files, storage_options
from headrace.local.resources import AgentJobResource
from headrace.plan.model import AgentPlan
from headrace_agents.code import RUNTIME_PACKAGE, NoPackageError, digest_of, package_folder, package_of
from headrace_agents.manifest import Manifest
from headrace_agents.spec import AgentJobSpec

JOB_PROGRAM = Path(RUNTIME_PACKAGE, "flink", "job.py")
"""In the folder of a release."""


class Agent(pulumi.ComponentResource):
    """The job that runs an agent; its snapshots survive it, and the next job goes on from the newest."""

    def __init__(
        self,
        agent: AgentPlan,
        manifest: Manifest,
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
                manifest=manifest.canonical(),
                command=(
                    str(runtimes.flink / "bin" / "flink"),
                    "run",
                    "--detached",
                    "--python",
                    str(context.files.release(spec.code) / JOB_PROGRAM),
                ),
                healthy_for_s=agent.healthy_for_ms / 1000,
                drains_runs=agent.drains_runs,
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
    """The plan's specification with what this substrate knows: where files are, what code is there.

    Raises HeadraceError where the agent's package is not installed.
    """
    spec = agent.spec_with_keys({path: str(file) for path, file in key_files(files, agent).items()})
    try:
        code = digest_of(packages(spec.entry_point))
    except NoPackageError as error:
        raise HeadraceError(str(error)) from error
    options = storage_options(spec.name) | {"python.pythonpath": str(files.release(code))}
    return spec.model_copy(update={"flink_configuration": spec.flink_configuration | options, "code": code})


def packages(entry_point: str) -> dict[str, Path]:
    """Folders of the installed packages that an agent's job runs, the agent's own among them, by name."""
    return {name: package_folder(name) for name in (RUNTIME_PACKAGE, package_of(entry_point))}
