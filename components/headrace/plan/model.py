"""The shape of a plan: everything that is worked out from an environment, ready to be built.

Values only; how each is worked out stands in the module of its subject. Every leaf has a reason in
:attr:`StackPlan.reasons` under its dotted path (``flink.taskmanager.process_mib``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from headrace.environment.engines import Engine
from headrace_agents.spec import AgentJobSpec, EndpointSpec

E = TypeVar("E", bound=EndpointSpec)


class PlanModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Ports(PlanModel):
    """Loopback ports of the local substrate, one range from ``port_base``."""

    postgres: int
    kafka: int
    kafka_controller: int
    connect: int
    object_store: int
    zookeeper: int
    flink_rest: int
    flink_rpc: int
    flink_blob: int
    jobmanager_metrics: int
    scripted_model: int
    prometheus: int
    capture_metrics: int
    taskmanager_rpc: tuple[int, ...]
    taskmanager_data: tuple[int, ...]
    taskmanager_metrics: tuple[int, ...]


class TopicPlan(PlanModel):
    name: str
    partitions: int
    replication: int
    config: dict[str, str]


class ColumnPlan(PlanModel):
    name: str
    type: str
    """The engine's type, as it stands in ``CREATE TABLE``."""


class TablePlan(PlanModel):
    name: str
    """``schema.table``, or ``database.table`` where the engine has no schemas."""
    columns: tuple[ColumnPlan, ...]
    """Empty when the declaration does not list them: then the table is expected to exist."""
    primary_key: tuple[str, ...]
    key: tuple[str, ...]
    """Columns that make the message key."""
    replica_identity: Literal["default", "full"] | None
    """What PostgreSQL logs of a row's old values; a local table is made with it. ``None``: no PostgreSQL."""
    topic: str


class BackfillPlan(PlanModel):
    id: str
    tables: tuple[str, ...]
    """``schema.table``, in the order in which they are read."""
    where: dict[str, str]
    """By table, SQL as it stands after ``WHERE``; a table that is not in it is read whole."""


class SourcePlan(PlanModel):
    """What a source has whatever its engine is."""

    name: str
    engine: Engine
    database: str
    tables: tuple[TablePlan, ...]
    connector: str
    connector_config: dict[str, str]
    """Complete configuration for Kafka Connect but for the password, which is a reference to a file."""


class PostgresqlSourcePlan(SourcePlan):
    engine: Literal["postgresql"]
    signals_topic: str | None
    """What the connector is told; ``None`` where it takes no signals."""
    notifications_topic: str | None
    """What it says of its snapshots; ``None`` likewise."""
    backfills: tuple[BackfillPlan, ...]
    slot: str
    publication: str


class BinlogSourcePlan(SourcePlan):
    """Of a server whose changes are read as a replica reads them."""

    engine: Literal["mysql", "mariadb"]
    server_id: int
    schema_history_topic: str
    """How the tables looked, by place in the binlog: without it the connector can't read on."""
    schema_history_group: str


AnySourcePlan = Annotated[PostgresqlSourcePlan | BinlogSourcePlan, Field(discriminator="engine")]


class JvmProcessPlan(PlanModel):
    heap_mib: int
    settings: dict[str, str]
    """The process's own configuration, as ``key=value`` of its properties file."""


class DatabaseServerPlan(PlanModel):
    settings: dict[str, str]
    """``postgresql.conf``"""


class JobManagerPlan(PlanModel):
    process_mib: int
    """``jobmanager.memory.process.size``; the components follow, and add up to it."""
    heap_mib: int
    offheap_mib: int
    metaspace_mib: int
    jvm_overhead_mib: int


class TaskManagerPlan(PlanModel):
    count: int
    slots: int
    process_mib: int
    """``taskmanager.memory.process.size``; the components follow, and add up to it."""
    jvm_overhead_mib: int
    metaspace_mib: int
    framework_heap_mib: int
    framework_offheap_mib: int
    task_heap_mib: int
    network_mib: int
    managed_mib: int
    rocksdb_slot_mib: int
    """Share of a slot's managed memory; with the Python worker's, times slots, it is ``managed_mib``."""
    python_slot_mib: int


class CheckpointPlan(PlanModel):
    interval_ms: int
    min_pause_ms: int
    timeout_ms: int
    tolerable_failures: int
    retained: int
    unaligned: bool
    local_recovery: bool
    """Whether a copy of the state stays on the TaskManager's disk, to restore from."""


class FailoverPlan(PlanModel):
    heartbeat_timeout_ms: int
    heartbeat_interval_ms: int
    leader_session_ms: int
    """How long a dead JobManager stays leader."""
    longest_backoff_ms: int
    """Between restarts of a job."""
    quiet_ms: int
    """Without a fault for so long, the next restart waits as little as the first."""
    first_slots_wait_ms: int
    """For more slots, when a job starts with fewer than it wants."""
    more_slots_wait_ms: int
    """For more slots, when a running job could get some."""
    rescale_cooldown_ms: int
    registration_retry_ms: int
    registration_error_ms: int


class SavepointPlan(PlanModel):
    interval_ms: int | None
    """Between savepoints of an agent that goes on; ``None``: none are made."""
    history_count: int
    history_age_ms: int


class FlinkPlan(PlanModel):
    jobmanager: JobManagerPlan
    taskmanager: TaskManagerPlan
    checkpoints: CheckpointPlan
    failover: FailoverPlan
    configuration: dict[str, str]
    """Cluster-wide options of ``config.yaml``, but for those that say where files are."""


class BucketPlan(PlanModel):
    name: str
    """On AWS the account-wide name is made from it."""
    expire_objects_days: int | None
    """Age at which the store removes objects by itself; ``None``: never."""
    abort_uploads_days: int
    """Age at which it removes uploads that were never finished."""


class StateStoragePlan(PlanModel):
    buckets: tuple[BucketPlan, ...]
    savepoints: SavepointPlan


class ScalingPlan(PlanModel):
    utilisation_target: float
    """Of a core, each subtask: what parallelism is chosen for."""
    utilisation_least: float
    """Under it, for so long as ``quiet_ms``, there are too many subtasks."""
    utilisation_most: float
    observe_ms: int
    """Between two looks."""
    window_ms: int
    """For so long all looks have to say the same before there are more subtasks."""
    cooldown_ms: int
    """Between two changes of an agent."""
    quiet_ms: int
    """Without a shortage for so long before there are fewer."""
    catch_up_ms: int
    """In which what waits is to be worked off."""
    normal_lag_s: int
    """Seconds of the declared load that may wait without being a shortage."""


class AgentPlan(PlanModel):
    name: str
    spec: AgentJobSpec
    parallelism_max: int
    """Subtasks that it may be rescaled to; ``spec.parallelism`` is what it starts with, and the least."""
    normal_lag_events: int
    """Events that may wait, in Kafka and in its inboxes, without being a shortage."""
    state_bytes: int
    """Of all keys, as it is declared."""
    model_calls_per_second: float
    """That the load makes."""
    model_calls_needed: int
    """Little's law over the declared workload."""
    model_calls_in_flight: int
    """What it is given: with headroom, within the provider's limit."""
    healthy_for_ms: int
    """How long another version is watched before the one that ran is given up."""
    drains_runs: bool
    """Whether runs in flight end before another version takes over."""
    key_variables: dict[str, str]
    """Environment variables whose values the substrate puts into files, by the path in ``spec`` of the model
    whose key they hold: ``model``, ``model.fallbacks[0]``, ``embedding``."""

    def spec_with_keys(self, files: Mapping[str, str]) -> AgentJobSpec:
        """The specification with those files, by the same paths."""

        def keyed(model: E, path: str) -> E:
            return model.model_copy(update={"api_key_file": files[path]}) if path in files else model

        model, embedding = self.spec.model, self.spec.embedding
        if model is not None:
            fallbacks = (keyed(each, f"model.fallbacks[{at}]") for at, each in enumerate(model.fallbacks))
            model = keyed(model, "model").model_copy(update={"fallbacks": tuple(fallbacks)})
        if embedding is not None:
            embedding = keyed(embedding, "embedding")
        return self.spec.model_copy(update={"model": model, "embedding": embedding})


class CommonPlan(PlanModel):
    """What a plan has on every substrate."""

    environment: str
    sources: tuple[AnySourcePlan, ...]
    topics: tuple[TopicPlan, ...]
    """Every topic of the stack: captured tables, agents' outputs, what is said to agents, journals."""
    state_storage: StateStoragePlan
    agents: tuple[AgentPlan, ...]
    agents_removed: tuple[str, ...]
    """Names of agents that may be gone."""
    scaling: ScalingPlan
    reasons: dict[str, str]


class StackPlan(CommonPlan):
    """A stack on this machine."""

    sources: tuple[PostgresqlSourcePlan, ...]
    data_dir: str | None
    """Folder of the stack's data; ``None``: the substrate's own choice."""
    ports: Ports
    database_server: DatabaseServerPlan
    kafka: JvmProcessPlan
    connect: JvmProcessPlan
    object_store: JvmProcessPlan
    zookeeper: JvmProcessPlan
    flink: FlinkPlan
    taskmanagers_max: int
    """Processes that scaling may start; ``flink.taskmanager.count`` always run."""
    scripted_model: bool
    """Whether any agent of the stack uses the scripted model."""
