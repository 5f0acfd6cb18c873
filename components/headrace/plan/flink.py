"""The Flink cluster: cluster-wide options that do not depend on where files are."""

from __future__ import annotations

from headrace.environment.model import Environment
from headrace.plan import memory
from headrace.plan.because import Because, build, mapping, merged, settings
from headrace.plan.checkpoints import checkpoints
from headrace.plan.coordination import SESSION_MS
from headrace.plan.model import CheckpointPlan, FlinkPlan, JobManagerPlan, Ports, TaskManagerPlan
from headrace.plan.ports import LOOPBACK

MAX_PARALLELISM = 720
HEARTBEAT_TIMEOUT_MS, HEARTBEAT_INTERVAL_MS = 12_000, 3_000
LONGEST_BACKOFF_S = 10


def flink(environment: Environment, ports: Ports) -> Because[FlinkPlan]:
    """Processes, checkpoints, options."""
    jobmanager = memory.jobmanager(environment)
    taskmanager = memory.taskmanager(environment)
    rhythm = checkpoints(environment.checkpoints, environment.recovery)
    return build(
        FlinkPlan,
        jobmanager=jobmanager,
        taskmanager=taskmanager,
        checkpoints=rhythm,
        configuration=merged(
            _addresses(ports),
            _memory(environment, jobmanager.value, taskmanager.value),
            _state(rhythm.value),
            _availability(),
            _restart(),
            _network_and_metrics(),
        ),
    )


def job_checkpoint_options(rhythm: CheckpointPlan) -> Because[dict[str, str]]:
    """Options of one job that follow from the checkpoints' rhythm."""
    every = rhythm.interval_ms
    return settings(
        {
            "execution.checkpointing.interval": (f"{every} ms", f"the plan's interval, {every} ms"),
            "execution.checkpointing.min-pause": (
                f"{rhythm.min_pause_ms} ms",
                f"the plan's least pause, {rhythm.min_pause_ms} ms",
            ),
            "execution.checkpointing.timeout": (
                f"{rhythm.timeout_ms} ms",
                f"the plan's timeout, {rhythm.timeout_ms} ms",
            ),
            "execution.checkpointing.tolerable-failed-checkpoints": (
                rhythm.tolerable_failures,
                f"the plan's {rhythm.tolerable_failures} failures",
            ),
        }
    )


def _addresses(ports: Ports) -> Because[dict[str, str]]:
    here = "loopback only, 1 address"
    return settings(
        {
            "jobmanager.rpc.address": (LOOPBACK, here),
            "jobmanager.bind-host": (LOOPBACK, here),
            "taskmanager.bind-host": (LOOPBACK, here),
            "taskmanager.host": (LOOPBACK, here),
            "rest.address": (LOOPBACK, here),
            "rest.bind-address": (LOOPBACK, here),
            "rest.port": (ports.flink_rest, f"the stack's port for it, {ports.flink_rest}"),
            "rest.bind-port": (ports.flink_rest, f"the stack's port for it, {ports.flink_rest}, not a range"),
            "jobmanager.rpc.port": (ports.flink_rpc, f"the stack's port for it, {ports.flink_rpc}"),
            "high-availability.jobmanager.port": (
                ports.flink_rpc,
                f"the stack's port for it, {ports.flink_rpc}: with HA Flink reads this one",
            ),
            "blob.server.port": (ports.flink_blob, f"the stack's port for it, {ports.flink_blob}"),
        }
    )


def _memory(
    environment: Environment, jobmanager: JobManagerPlan, taskmanager: TaskManagerPlan
) -> Because[dict[str, str]]:
    exactly = "as worked out, {} MiB; least and most are equal, so Flink's fraction decides nothing"
    sizes = {
        "jobmanager.memory.process.size": (jobmanager.process_mib, "as worked out, {} MiB"),
        "taskmanager.memory.process.size": (taskmanager.process_mib, "as worked out, {} MiB"),
        "taskmanager.memory.jvm-overhead.min": (taskmanager.jvm_overhead_mib, exactly),
        "taskmanager.memory.jvm-overhead.max": (taskmanager.jvm_overhead_mib, exactly),
        "taskmanager.memory.jvm-metaspace.size": (taskmanager.metaspace_mib, "as worked out, {} MiB"),
        "taskmanager.memory.framework.heap.size": (taskmanager.framework_heap_mib, "as worked out, {} MiB"),
        "taskmanager.memory.framework.off-heap.size": (
            taskmanager.framework_offheap_mib,
            "as worked out, {} MiB",
        ),
        "taskmanager.memory.network.min": (taskmanager.network_mib, exactly),
        "taskmanager.memory.network.max": (taskmanager.network_mib, exactly),
        "taskmanager.memory.managed.size": (
            taskmanager.managed_mib,
            "as worked out, {} MiB; the task heap is the rest",
        ),
    }
    exact = settings({key: (f"{mib}m", why.format(mib)) for key, (mib, why) in sizes.items()})
    shares = mapping(
        {"taskmanager.memory.managed.consumer-weights": memory.consumer_weights(environment)}, "none"
    )
    slots = settings(
        {"taskmanager.numberOfTaskSlots": (taskmanager.slots, f"as worked out, {taskmanager.slots}")}
    )
    return merged(exact, shares, slots)


def _state(rhythm: CheckpointPlan) -> Because[dict[str, str]]:
    return settings(
        {
            "state.backend.type": ("rocksdb", "state may outgrow memory: 1 slot's heap does not bound it"),
            "execution.checkpointing.incremental": (
                True,
                "a checkpoint every second or 2 uploads only what changed",
            ),
            "execution.checkpointing.storage": (
                "filesystem",
                "at S3 paths, as on AWS: 1 configuration for both",
            ),
            "execution.checkpointing.mode": ("EXACTLY_ONCE", "each event changes memory 1 time"),
            "execution.checkpointing.max-concurrent-checkpoints": (
                1,
                "1 at a time, as transactions end with them",
            ),
            "execution.checkpointing.num-retained": (rhythm.retained, f"the plan's {rhythm.retained}"),
            "execution.checkpointing.externalized-checkpoint-retention": (
                "RETAIN_ON_CANCELLATION",
                f"a cancelled job leaves its last {rhythm.retained} checkpoints to start from",
            ),
            "pipeline.max-parallelism": (
                MAX_PARALLELISM,
                (
                    f"{MAX_PARALLELISM} has 30 divisors, so subtasks get equal shares; it "
                    "can never change afterwards"
                ),
            ),
        }
    )


def _availability() -> Because[dict[str, str]]:
    return settings(
        {
            "high-availability.type": (
                "zookeeper",
                "a JobManager that comes back finds its jobs: 0 hands needed",
            ),
            "high-availability.zookeeper.client.session-timeout": (
                f"{SESSION_MS} ms",
                f"a killed JobManager stays leader for {SESSION_MS} ms rather than 60 s",
            ),
            "high-availability.zookeeper.client.tolerate-suspended-connections": (
                True,
                f"a ZooKeeper that is back within {SESSION_MS} ms restarts 0 jobs",
            ),
            "high-availability.zookeeper.client.retry-wait": (
                "1 s",
                "1 s rather than 5: it is back in seconds",
            ),
            "high-availability.zookeeper.client.max-retry-attempts": (
                10,
                "10 attempts, from 1 s up to 5 s apart: longer than its restart takes",
            ),
            "high-availability.zookeeper.client.max-retry-wait": ("5 s", "5 s rather than 60 in the end"),
            "heartbeat.timeout": (
                f"{HEARTBEAT_TIMEOUT_MS} ms",
                (
                    f"a lost process is noticed within {HEARTBEAT_TIMEOUT_MS} ms; the "
                    "default of 50 s is most of the 90 s"
                ),
            ),
            "heartbeat.interval": (
                f"{HEARTBEAT_INTERVAL_MS} ms",
                f"4 heartbeats in {HEARTBEAT_TIMEOUT_MS} ms",
            ),
            "cluster.registration.error-delay": (
                "2 s",
                "2 s rather than 10: a JobManager that starts is tried again soon",
            ),
            "cluster.registration.refused-registration-delay": (
                "5 s",
                "5 s rather than 30, for the same reason",
            ),
            "cluster.registration.max-timeout": ("5 s", "5 s rather than 30, for the same reason"),
        }
    )


def _restart() -> Because[dict[str, str]]:
    return settings(
        {
            "jobmanager.scheduler": (
                "adaptive",
                "a job goes on with the slots there are: 1 lost TaskManager stops none",
            ),
            "jobmanager.adaptive-scheduler.submission.resource-wait-timeout": (
                "1 d",
                (
                    "1 day: a job whose TaskManagers are away waits for them; after the "
                    "default of 5 minutes it fails"
                ),
            ),
            "jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout": (
                "3 s",
                "3 s for a second TaskManager to come up; 10 s is for clusters that grow",
            ),
            "jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling": (
                "10 s",
                "10 s rather than 30: a returned TaskManager is used again within 90 s",
            ),
            "jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout": (
                "5 s",
                "5 s rather than 60: there are no more TaskManagers to come than those declared",
            ),
            "restart-strategy.type": (
                "exponential-delay",
                "a fault that lasts is tried ever more slowly, 0 times given up",
            ),
            "restart-strategy.exponential-delay.initial-backoff": (
                "500 ms",
                "500 ms: most faults are over at once",
            ),
            "restart-strategy.exponential-delay.backoff-multiplier": ("1.5", "500, 750, 1125 ms, ..."),
            "restart-strategy.exponential-delay.max-backoff": (
                f"{LONGEST_BACKOFF_S} s",
                f"{LONGEST_BACKOFF_S} s: what comes back after a long outage is noticed well within 90 s",
            ),
            "restart-strategy.exponential-delay.jitter-factor": (
                "0.1",
                "a tenth, so that jobs do not restart as one",
            ),
            "restart-strategy.exponential-delay.reset-backoff-threshold": (
                "2 min",
                "2 minutes without a fault, and the next one starts at 500 ms again",
            ),
        }
    )


def _network_and_metrics() -> Because[dict[str, str]]:
    return settings(
        {
            "taskmanager.network.memory.buffer-debloat.enabled": (
                True,
                "under back pressure buffers hold 1 s of records, so a barrier passes soon",
            ),
            "metrics.reporters": ("prom", "1 reporter, for Prometheus"),
            "metrics.reporter.prom.factory.class": (
                "org.apache.flink.metrics.prometheus.PrometheusReporterFactory",
                "Prometheus reads each process at its own port: 1 reporter does all",
            ),
            "metrics.reporter.prom.filterLabelValueCharacters": (
                False,
                "label values stay as they are: 0 characters lost",
            ),
        }
    )
