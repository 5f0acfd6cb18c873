"""One Flink deployment for each agent: slots, TaskManagers, pods, options."""

from __future__ import annotations

import math

from headrace.environment.model import Agent, Environment
from headrace.environment.units import GIB, SECOND_MS
from headrace.plan import memory
from headrace.plan.aws.model import DeploymentPlan, PodPlan
from headrace.plan.because import Because, because, build, sequence, settings
from headrace.plan.checkpoints import checkpoints
from headrace.plan.failover import failover
from headrace.plan.flink import cluster
from headrace.plan.model import FailoverPlan
from headrace.plan.scaling import autoscaler_thresholds, scaling
from headrace.plan.state import state_bytes

SLOTS_PER_TASKMANAGER = 4
NODE_START_MS = 120 * SECOND_MS
"""Until a pod that needs a new node runs: EKS Auto Mode starts the node and pulls the image."""
JOBMANAGER_CPU, JOBMANAGER_REPLICAS = 1.0, 2
DISK_MIN_GIB, DISK_TO_STATE = 20, 4


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
    times = failover(environment.recovery)
    return build(
        DeploymentPlan,
        name=because(agent.name, "the agent's name: 1 deployment each"),
        flink=cluster(
            jobmanager,
            taskmanager,
            checkpoints(alone),
            times,
            _kubernetes(environment, times.value),
            autoscaler_thresholds(scaling(environment.recovery).value),
        ),
        pods=build(
            PodPlan,
            jobmanager_cpu=because(JOBMANAGER_CPU, f"{JOBMANAGER_CPU:g} vCPU for 1 job's checkpoints"),
            jobmanager_replicas=because(
                JOBMANAGER_REPLICAS, f"{JOBMANAGER_REPLICAS}: the second takes over without a new pod"
            ),
            taskmanager_cpu=because(
                float(slots.value), f"1 vCPU for each of {slots.value} slots: a subtask is 1 thread of Python"
            ),
            disk_gib=_disk_gib(agent, count.value),
        ),
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


def _kubernetes(environment: Environment, times: FailoverPlan) -> Because[dict[str, str]]:
    session, spare = times.leader_session_ms, spare_taskmanagers(environment)
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
            "slotmanager.redundant-taskmanager-num": (spare, f"{spare}, as worked out for the TaskManagers"),
        }
    )
