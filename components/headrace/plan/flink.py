"""The Flink cluster: cluster-wide options that do not depend on where files are."""

from __future__ import annotations

from headrace.environment.model import Environment
from headrace.environment.substrates import LocalSubstrate
from headrace.plan import memory
from headrace.plan.because import Because, because, build, mapping, merged, settings
from headrace.plan.checkpoints import checkpoints, cluster_checkpoint_options
from headrace.plan.failover import failover, failover_options
from headrace.plan.model import (
    CheckpointPlan,
    FailoverPlan,
    FlinkPlan,
    JobManagerPlan,
    Ports,
    TaskManagerPlan,
)
from headrace.plan.network import buffer_options
from headrace.plan.ports import LOOPBACK
from headrace.plan.slots import local_slots, max_parallelism
from headrace.plan.state_storage import HIGH_AVAILABILITY

ZOOKEEPER_ATTEMPTS = 10


def flink(environment: Environment, ports: Ports) -> Because[FlinkPlan]:
    """Processes, checkpoints, options of the one local cluster."""
    jobmanager = memory.jobmanager(environment.agents)
    taskmanager = memory.taskmanager(environment.agents, _count(environment.local), local_slots(environment))
    times = failover(environment.recovery)
    return cluster(
        jobmanager,
        taskmanager,
        checkpoints(environment),
        times,
        _addresses(ports),
        _zookeeper(environment.name, ports, times.value),
        _object_store(ports),
    )


def cluster(
    jobmanager: Because[JobManagerPlan],
    taskmanager: Because[TaskManagerPlan],
    rhythm: Because[CheckpointPlan],
    times: Because[FailoverPlan],
    *of_substrate: Because[dict[str, str]],
) -> Because[FlinkPlan]:
    """What a cluster is on every substrate, and the options that are one substrate's alone."""
    return build(
        FlinkPlan,
        jobmanager=jobmanager,
        taskmanager=taskmanager,
        checkpoints=rhythm,
        failover=times,
        configuration=merged(
            memory.memory_options(jobmanager.value, taskmanager.value),
            cluster_checkpoint_options(rhythm.value),
            failover_options(times.value),
            buffer_options(),
            key_group_options(),
            metrics_options(),
            *of_substrate,
        ),
    )


def key_group_options() -> Because[dict[str, str]]:
    """How finely keyed state can ever be divided."""
    groups = max_parallelism()
    return mapping({"pipeline.max-parallelism": because(str(groups.value), groups.reasons[""])}, "none")


def port_options(rest: int, rpc: int, blob: int, whose: str) -> Because[dict[str, str]]:
    """What a JobManager listens on; none is left to chance."""
    return settings(
        {
            "rest.port": (rest, f"{whose}, {rest}"),
            "rest.bind-port": (rest, f"{whose}, {rest}, not a range"),
            "jobmanager.rpc.port": (rpc, f"{whose}, {rpc}"),
            "high-availability.jobmanager.port": (
                rpc,
                f"{whose}, {rpc}: with HA Flink reads this one",
            ),
            "blob.server.port": (blob, f"{whose}, {blob}"),
        }
    )


def metrics_options() -> Because[dict[str, str]]:
    """Prometheus' reporter."""
    return settings(
        {
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


def _count(substrate: LocalSubstrate) -> Because[int]:
    count = substrate.taskmanagers
    return because(count, f"declared as substrate.taskmanagers, {count}")


def _addresses(ports: Ports) -> Because[dict[str, str]]:
    here = "loopback only, 1 address"
    hosts = settings(
        {
            "jobmanager.rpc.address": (LOOPBACK, here),
            "jobmanager.bind-host": (LOOPBACK, here),
            "taskmanager.bind-host": (LOOPBACK, here),
            "taskmanager.host": (LOOPBACK, here),
            "rest.address": (LOOPBACK, here),
            "rest.bind-address": (LOOPBACK, here),
        }
    )
    whose = "the stack's port for it"
    return merged(hosts, port_options(ports.flink_rest, ports.flink_rpc, ports.flink_blob, whose))


def _zookeeper(environment: str, ports: Ports, times: FailoverPlan) -> Because[dict[str, str]]:
    session = times.leader_session_ms
    return settings(
        {
            "high-availability.type": (
                "zookeeper",
                "a JobManager that comes back finds its jobs: 0 hands needed",
            ),
            "high-availability.cluster-id": (environment, "the environment's name: 1 cluster each"),
            "high-availability.storageDir": (
                f"s3://{HIGH_AVAILABILITY}/",
                f"the bucket {HIGH_AVAILABILITY}: ZooKeeper keeps pointers alone, of a few bytes",
            ),
            "high-availability.zookeeper.quorum": (
                f"{LOOPBACK}:{ports.zookeeper}",
                f"the stack's port for it, {ports.zookeeper}; a quorum of 1",
            ),
            "high-availability.zookeeper.client.session-timeout": (
                f"{session} ms",
                f"a killed JobManager stays leader for {session} ms, by default for 60 s",
            ),
            "high-availability.zookeeper.client.tolerate-suspended-connections": (
                True,
                f"a ZooKeeper that is back within {session} ms restarts 0 jobs",
            ),
            "high-availability.zookeeper.client.retry-wait": (
                f"{times.registration_error_ms // 2} ms",
                f"half of the {times.registration_error_ms} ms of registrations: it is back in seconds",
            ),
            "high-availability.zookeeper.client.max-retry-attempts": (
                ZOOKEEPER_ATTEMPTS,
                f"{ZOOKEEPER_ATTEMPTS} attempts: longer than its restart takes",
            ),
            "high-availability.zookeeper.client.max-retry-wait": (
                f"{times.registration_retry_ms} ms",
                f"{times.registration_retry_ms} ms in the end, as for registrations; by default 60 s",
            ),
        }
    )


def _object_store(ports: Ports) -> Because[dict[str, str]]:
    """S3Proxy's ways. Where it checks no signatures it stores the chunks' headers with the data."""
    unchecked = "S3Proxy on loopback checks 0 credentials, but the client wants 1 of each"
    plain = "S3Proxy checks 0 signatures, and would store the chunks' headers with the data"
    return settings(
        {
            "s3.endpoint": (
                f"http://{LOOPBACK}:{ports.object_store}",
                f"the stack's object store, port {ports.object_store}",
            ),
            "s3.path-style-access": (True, "1 address serves all buckets: none has a host name of its own"),
            "s3.region": ("us-east-1", "the client wants 1 region; S3Proxy has none"),
            "s3.chunked-encoding.enabled": (False, plain),
            "s3.checksum-validation.enabled": (False, plain),
            "s3.access-key": ("local", unchecked),
            "s3.secret-key": ("local", unchecked),
        }
    )
