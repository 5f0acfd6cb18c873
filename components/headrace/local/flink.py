"""A Flink cluster on this machine: JobManager and TaskManagers, with the jars and options of the image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pulumi

from headrace.local.context import HOST, LocalContext, process
from headrace.local.java import LOG4J_CONSOLE
from headrace.local.names import JOBMANAGER, taskmanager
from headrace.local.provider.process import ProcessInputs, Readiness
from headrace.local.snapshots import checkpoint_folder, savepoint_folder

LOG4J = "log4j-console.properties"
METRICS_PORT = "metrics.reporter.prom.port"


class FlinkCluster(pulumi.ComponentResource):
    def __init__(
        self, context: LocalContext, depends_on: list[pulumi.Resource], opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("headrace:local:FlinkCluster", "flink", None, opts)
        self.jobmanager = self._jobmanager(context, depends_on)
        plan = context.plan
        self.taskmanagers = [
            self._taskmanager(context, number, standby=False)
            for number in range(1, plan.flink.taskmanager.count + 1)
        ]
        for number in range(plan.flink.taskmanager.count + 1, plan.taskmanagers_max + 1):
            self._taskmanager(context, number, standby=True)
        self.register_outputs({"endpoint": context.flink_endpoint})

    def _jobmanager(self, context: LocalContext, depends_on: list[pulumi.Resource]) -> pulumi.Resource:
        plan = context.plan
        ports = {
            "Flink's REST interface": plan.ports.flink_rest,
            "Flink's JobManager": plan.ports.flink_rpc,
            "Flink's blob server": plan.ports.flink_blob,
            "Flink's JobManager's metrics": plan.ports.jobmanager_metrics,
        }
        options = {METRICS_PORT: str(plan.ports.jobmanager_metrics)}
        return process(
            ProcessInputs(
                root=context.root,
                name=JOBMANAGER,
                # With high availability the leader announces this address and the port below.
                command=(_script(context, "jobmanager.sh"), "start-foreground", HOST),
                environment=_environment(context, JOBMANAGER),
                files=_config_files(cluster_options(context) | options),
                scratch=(str(context.files.scratch(JOBMANAGER)),),
                ports=ports,
                ready=Readiness(port=plan.ports.flink_rest, url=f"{context.flink_endpoint}/jobs/overview"),
            ),
            parent=self,
            depends_on=depends_on,
        )

    def _taskmanager(self, context: LocalContext, number: int, *, standby: bool) -> pulumi.Resource:
        plan, name = context.plan, taskmanager(number)
        rpc, data, metrics = (
            plan.ports.taskmanager_rpc[number - 1],
            plan.ports.taskmanager_data[number - 1],
            plan.ports.taskmanager_metrics[number - 1],
        )
        options = {
            "taskmanager.rpc.port": str(rpc),
            "taskmanager.data.port": str(data),
            "taskmanager.resource-id": name,
            METRICS_PORT: str(metrics),
            "io.tmp.dirs": str(context.files.scratch(name)),
        }
        return process(
            ProcessInputs(
                root=context.root,
                name=name,
                command=(_script(context, "taskmanager.sh"), "start-foreground"),
                environment=_environment(context, name),
                files=_config_files(cluster_options(context) | options),
                scratch=(str(context.files.scratch(name)),),
                ports={f"{name} (RPC)": rpc, f"{name} (data)": data, f"{name} (metrics)": metrics},
                ready=Readiness(port=data),
                standby=standby,
                calls_models=True,
            ),
            parent=self,
            depends_on=[self.jobmanager],
        )


CLIENT_JAVA_OPTIONS = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
"""It lives for seconds: what a better compiler and several collecting threads save, they cost before."""


def cluster_options(context: LocalContext) -> dict[str, str]:
    """The plan's options, and what the distribution ships beside its jars."""
    return context.plan.flink.configuration | _shipped_java_options(context.runtimes.flink)


def client_options(context: LocalContext) -> dict[str, str]:
    """What a client needs to find the cluster and its snapshots."""
    planned = context.plan.flink.configuration
    return {key: value for key, value in planned.items() if key.startswith(("rest.", "s3."))}


def storage_options(agent: str) -> dict[str, str]:
    """Where an agent's snapshots are, as options of its job."""
    return {
        "execution.checkpointing.dir": checkpoint_folder(agent),
        "execution.checkpointing.savepoint-dir": savepoint_folder(agent),
    }


def client_files(context: LocalContext) -> dict[str, str]:
    """Configuration folder of the client that submits jobs."""
    return _config_files(
        client_options(context)
        | _shipped_java_options(context.runtimes.flink)
        | {
            "execution.target": "remote",
            "python.client.executable": str(context.runtimes.agents_python),
            "python.executable": str(context.runtimes.agents_python),
        }
    )


def client_environment(context: LocalContext, folder: str) -> dict[str, str]:
    """Environment of a client whose configuration is in ``etc/FOLDER``."""
    return _environment(context, folder) | {"JVM_ARGS": CLIENT_JAVA_OPTIONS}


def _environment(context: LocalContext, name: str) -> dict[str, str]:
    return {
        "FLINK_HOME": str(context.runtimes.flink),
        "FLINK_CONF_DIR": str(context.files.etc(name)),
        "FLINK_LOG_DIR": str(context.files.scratch(name)),
        "FLINK_PID_DIR": str(context.files.scratch(name)),
        "BOOT_LOG_DIR": str(context.files.scratch(name)),
    }


def _script(context: LocalContext, name: str) -> str:
    return str(context.runtimes.flink / "bin" / name)


def _config_files(options: Mapping[str, str]) -> dict[str, str]:
    # A JSON string is a YAML string: quoting is settled.
    lines = [f"{key}: {json.dumps(value)}" for key, value in sorted(options.items())]
    return {
        "config.yaml": "\n".join(lines) + "\n",
        LOG4J: LOG4J_CONSOLE,
        "log4j-cli.properties": LOG4J_CONSOLE,
    }


def _shipped_java_options(flink: Path) -> dict[str, str]:
    """The ``--add-opens`` list of the distribution's own file: without it Flink does not start on Java 17."""
    marker = "all: "
    for line in (flink / "conf" / "config.yaml").read_text().splitlines():
        if line.strip().startswith(marker):
            return {"env.java.opts.all": line.strip().removeprefix(marker)}
    raise ValueError(f"{flink / 'conf' / 'config.yaml'} has no env.java.opts.all")
