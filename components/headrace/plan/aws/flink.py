"""One Flink deployment for each agent: slots, TaskManagers, pods, options."""

from __future__ import annotations

import math

from headrace.environment.model import Agent, Environment
from headrace.environment.units import GIB, SECOND_MS
from headrace.plan import memory
from headrace.plan.agents import keys
from headrace.plan.aws.bedrock import bedrock_models
from headrace.plan.aws.cluster_names import JOBMANAGERS, TASKMANAGERS, named
from headrace.plan.aws.model import DeploymentPlan, PodPlan, PodPortsPlan, SecretKeyPlan
from headrace.plan.aws.operator import NODE_START_MS, autoscaler_options, life_options
from headrace.plan.because import Because, because, build, merged, sequence, settings
from headrace.plan.checkpoints import checkpoints
from headrace.plan.failover import failover
from headrace.plan.flink import cluster, port_options
from headrace.plan.model import CheckpointPlan, FailoverPlan, JobManagerPlan
from headrace.plan.scaling import autoscaler_thresholds, scaling
from headrace.plan.state import state_bytes

SLOTS_PER_TASKMANAGER = 4
JOBMANAGER_CPU, JOBMANAGER_REPLICAS, JOBMANAGER_DISK_GIB = 1.0, 2, 2
DISK_MIN_GIB, DISK_TO_STATE = 20, 4
CLIENT_MIB = 256
"""Of the Python program that builds the job in the JobManager's container, beside the JVM."""
REST_PORT, RPC_PORT, BLOB_PORT = 8081, 6123, 6124
TASKMANAGER_RPC_PORT, TASKMANAGER_DATA_PORT, METRICS_PORT = 6122, 6121, 9249
SPOT_NOTICE_S, SHUTDOWN_S = 120, 30
"""From AWS's notice to the end of a spot instance, and what Flink allows itself for an orderly end
(``cluster.services.shutdown-timeout``)."""


def deployments(environment: Environment) -> Because[tuple[DeploymentPlan, ...]]:
    """Every agent's."""
    return sequence(_deployment(environment, agent) for agent in environment.agents)


def spare_taskmanagers(environment: Environment) -> int:
    """Kept running beside those needed, where a new node would come too late."""
    return 1 if environment.recovery.max_recovery.milliseconds < NODE_START_MS else 0


def _deployment(environment: Environment, agent: Agent) -> Because[DeploymentPlan]:
    alone = environment.model_copy(update={"agents": (agent,)})
    slots = _slots(agent)
    count = _count(alone, agent, slots.value)
    jobmanager, taskmanager = memory.jobmanager((agent,)), memory.taskmanager((agent,), count, slots)
    times, rhythm, ports = failover(environment.recovery), checkpoints(alone), _ports()
    pre_stop = _pre_stop_s(rhythm.value)
    return build(
        DeploymentPlan,
        name=because(agent.name, "the agent's name: 1 deployment each"),
        model_key=_model_key(environment, agent),
        bedrock_models=bedrock_models(agent),
        flink=cluster(
            jobmanager,
            taskmanager,
            rhythm,
            times,
            _high_availability(times.value),
            _pod_options(environment, jobmanager.value, ports.value),
            life_options(alone),
            autoscaler_options(alone, agent),
            autoscaler_thresholds(scaling(environment.recovery).value),
        ),
        pods=build(
            PodPlan,
            jobmanager_pool=named(environment, JOBMANAGERS, "the 1 pool of nodes for what rules jobs"),
            jobmanager_cpu=because(JOBMANAGER_CPU, f"{JOBMANAGER_CPU:g} vCPU for 1 job's checkpoints"),
            jobmanager_replicas=because(
                JOBMANAGER_REPLICAS, f"{JOBMANAGER_REPLICAS}: the second takes over without a new pod"
            ),
            jobmanager_disk_gib=because(
                JOBMANAGER_DISK_GIB, f"{JOBMANAGER_DISK_GIB} GiB for the job's files: it keeps 0 state"
            ),
            taskmanager_pool=named(environment, TASKMANAGERS, "the 1 pool of nodes for what does the work"),
            taskmanager_cpu=because(
                float(slots.value), f"1 vCPU for each of {slots.value} slots: a subtask is 1 thread of Python"
            ),
            disk_gib=_disk_gib(agent, count.value),
            ports=ports,
            pre_stop_s=pre_stop,
            termination_grace_s=because(
                pre_stop.value + SHUTDOWN_S,
                f"{pre_stop.value} s, + {SHUTDOWN_S} s for Flink's orderly end: within the {SPOT_NOTICE_S} s "
                "of a spot notice",
            ),
        ),
        upgrade_mode=because(
            "savepoint", "the old job ends with 1 savepoint, its transactions committed: nothing is redone"
        ),
    )


def _model_key(environment: Environment, agent: Agent) -> Because[SecretKeyPlan] | Because[None]:
    variable = next((variable for _path, variable in keys(agent)), None)
    if variable is None:
        return because(None, "0 keys are declared for its models")
    return build(
        SecretKeyPlan,
        secret=because(environment.aws.model_keys, "declared as substrate.model_keys, or model-keys"),
        key=because(variable, "the name of api_key.env: 1 key of that secret"),
    )


def _slots(agent: Agent) -> Because[int]:
    least = agent.scaling.parallelism_min
    return because(
        min(SLOTS_PER_TASKMANAGER, least),
        f"parallelism_min {least}, at most {SLOTS_PER_TASKMANAGER} to a TaskManager: few are lost with one",
    )


def _count(environment: Environment, agent: Agent, slots: int) -> Because[int]:
    needed = math.ceil(agent.scaling.parallelism_min / slots)
    spare = spare_taskmanagers(environment)
    return because(
        needed + spare,
        f"parallelism_min {agent.scaling.parallelism_min} / {slots} slots = {needed}, and {spare} spare: a "
        f"new node takes {NODE_START_MS} ms, max_recovery is {environment.recovery.max_recovery}",
    )


def _disk_gib(agent: Agent, count: int) -> Because[int]:
    share = DISK_TO_STATE * state_bytes(agent) / max(1, count) / GIB
    return because(
        max(DISK_MIN_GIB, math.ceil(share)),
        f"{DISK_TO_STATE} x {state_bytes(agent)} bytes of state over {count} TaskManagers = {share:.1f} GiB, "
        f"for compaction and a checkpoint's files, at least {DISK_MIN_GIB}",
    )


def _ports() -> Because[PodPortsPlan]:
    usual = "Flink's usual port for it, {}: each pod has an address of its own"
    return build(
        PodPortsPlan,
        rest=because(REST_PORT, usual.format(REST_PORT)),
        rpc=because(RPC_PORT, usual.format(RPC_PORT)),
        blob=because(BLOB_PORT, usual.format(BLOB_PORT)),
        taskmanager_rpc=because(TASKMANAGER_RPC_PORT, usual.format(TASKMANAGER_RPC_PORT)),
        taskmanager_data=because(TASKMANAGER_DATA_PORT, usual.format(TASKMANAGER_DATA_PORT)),
        metrics=because(METRICS_PORT, usual.format(METRICS_PORT)),
    )


def _pre_stop_s(rhythm: CheckpointPlan) -> Because[int]:
    """The checkpoint that is under way ends, and with it its transactions."""
    most = SPOT_NOTICE_S - SHUTDOWN_S
    wanted = math.ceil((rhythm.interval_ms + rhythm.min_pause_ms) / SECOND_MS)
    return because(
        min(most, wanted),
        f"the checkpoint under way ends: interval {rhythm.interval_ms} ms + pause {rhythm.min_pause_ms} ms = "
        f"{wanted} s, at most {most}",
    )


def _high_availability(times: FailoverPlan) -> Because[dict[str, str]]:
    session = times.leader_session_ms
    return settings(
        {
            "high-availability.type": (
                "kubernetes",
                "a JobManager that comes back finds its job: 0 hands needed, 0 ZooKeepers run",
            ),
            "high-availability.kubernetes.leader-election.lease-duration": (
                f"{session} ms",
                f"a dead JobManager stays leader for {session} ms",
            ),
            "high-availability.kubernetes.leader-election.renew-deadline": (
                f"{session} ms",
                f"{session} ms, as the lease: its holder gives up when nobody may hold it",
            ),
            "high-availability.kubernetes.leader-election.retry-period": (
                f"{times.heartbeat_interval_ms} ms",
                f"{times.heartbeat_interval_ms} ms, as heartbeats",
            ),
        }
    )


def _pod_options(
    environment: Environment, jobmanager: JobManagerPlan, ports: PodPortsPlan
) -> Because[dict[str, str]]:
    """What is so because processes are pods, on S3 and in one region."""
    spare, whose = spare_taskmanagers(environment), "the plan's port for it"
    factor = math.ceil(10 * (jobmanager.process_mib + CLIENT_MIB) / jobmanager.process_mib) / 10
    own = settings(
        {
            "slotmanager.redundant-taskmanager-num": (spare, f"{spare}, as worked out for the TaskManagers"),
            "taskmanager.rpc.port": (ports.taskmanager_rpc, f"{whose}, {ports.taskmanager_rpc}"),
            "taskmanager.data.port": (ports.taskmanager_data, f"{whose}, {ports.taskmanager_data}"),
            "metrics.reporter.prom.port": (ports.metrics, f"{whose}, {ports.metrics}, not a range"),
            "kubernetes.rest-service.exposed.type": (
                "ClusterIP",
                "the REST interface has 1 address, within the cluster",
            ),
            "kubernetes.jobmanager.memory.limit-factor": (
                factor,
                f"{jobmanager.process_mib} MiB for the JVM, {CLIENT_MIB} for the program that builds the job",
            ),
            "s3.region": (environment.aws.region, f"declared: {environment.aws.region}, where everything is"),
        }
    )
    return merged(own, port_options(ports.rest, ports.rpc, ports.blob, whose))
