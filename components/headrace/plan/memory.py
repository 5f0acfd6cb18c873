"""Slots and memory of the Flink processes, by Flink's own formulas.

Worked out from the bottom: what a slot needs, then what a process of so many slots needs. Flink is
given each component exactly, so nothing is left for its fractions to decide:

    process  = flink + metaspace + overhead         overhead = clamp(0.1 x process, 192 MiB, 1 GiB)
    flink    = framework heap + framework off-heap + task heap + network + managed
"""

from __future__ import annotations

from headrace.environment.model import Environment
from headrace.plan.because import Because, because, build
from headrace.plan.model import JobManagerPlan, TaskManagerPlan

MIB = 1024 * 1024
METASPACE_MIB = 256
FRAMEWORK_MIB = 128
OVERHEAD_MIN_MIB, OVERHEAD_MAX_MIB = 192, 1024
TASK_HEAP_BASE_MIB, TASK_HEAP_SLOT_MIB = 256, 128
NETWORK_BASE_MIB, NETWORK_SLOT_MIB = 64, 16
PYTHON_SLOT_MIB = 192
ROCKSDB_SLOT_MIN_MIB, ROCKSDB_SLOT_MAX_MIB = 96, 512
JOBMANAGER_MIB, JOBMANAGER_AGENT_MIB = 1024, 32


def taskmanager(environment: Environment) -> Because[TaskManagerPlan]:
    """Count, slots and memory of the TaskManagers."""
    count = environment.substrate.taskmanagers
    slots = _slots(environment)
    rocksdb = rocksdb_slot_mib(environment)
    task_heap = TASK_HEAP_BASE_MIB + TASK_HEAP_SLOT_MIB * slots.value
    network = NETWORK_BASE_MIB + NETWORK_SLOT_MIB * slots.value
    managed = (rocksdb + PYTHON_SLOT_MIB) * slots.value
    flink = 2 * FRAMEWORK_MIB + task_heap + network + managed
    overhead = _overhead_mib(flink + METASPACE_MIB)
    process = flink + METASPACE_MIB + overhead
    per_slot = f"{slots.value} slots"
    return build(
        TaskManagerPlan,
        count=because(count, f"declared as substrate.taskmanagers, {count}"),
        slots=slots,
        process_mib=because(
            process,
            (
                f"{flink} MiB for Flink (heap {FRAMEWORK_MIB} + {task_heap}, off-heap "
                f"{FRAMEWORK_MIB}, network {network}, "
                f"managed {managed}) + {METASPACE_MIB} metaspace + {overhead} overhead"
            ),
        ),
        jvm_overhead_mib=because(
            overhead, f"a tenth of the process, kept between {OVERHEAD_MIN_MIB} and {OVERHEAD_MAX_MIB} MiB"
        ),
        metaspace_mib=because(
            METASPACE_MIB, f"Flink's default of {METASPACE_MIB} MiB holds the connectors' classes"
        ),
        framework_heap_mib=because(FRAMEWORK_MIB, f"Flink's default of {FRAMEWORK_MIB} MiB"),
        framework_offheap_mib=because(FRAMEWORK_MIB, f"Flink's default of {FRAMEWORK_MIB} MiB"),
        task_heap_mib=because(
            task_heap,
            f"{TASK_HEAP_BASE_MIB} MiB + {TASK_HEAP_SLOT_MIB} for the Kafka clients of each of {per_slot}",
        ),
        network_mib=because(
            network,
            (
                f"Flink's least of {NETWORK_BASE_MIB} MiB + {NETWORK_SLOT_MIB} for the "
                f"channels of each of {per_slot}"
            ),
        ),
        managed_mib=because(
            managed,
            f"{per_slot} x ({rocksdb} MiB for RocksDB + {PYTHON_SLOT_MIB} for the Python worker)",
        ),
    )


def jobmanager(environment: Environment) -> Because[JobManagerPlan]:
    """Memory of the JobManager."""
    agents = len(environment.agents)
    return build(
        JobManagerPlan,
        process_mib=because(
            JOBMANAGER_MIB + JOBMANAGER_AGENT_MIB * agents,
            (
                f"{JOBMANAGER_MIB} MiB + {JOBMANAGER_AGENT_MIB} for the graph and "
                f"checkpoints of each of {agents} jobs"
            ),
        ),
    )


def consumer_weights(environment: Environment) -> Because[str]:
    """How a slot's managed memory is shared, for ``taskmanager.memory.managed.consumer-weights``."""
    rocksdb = rocksdb_slot_mib(environment)
    return because(
        f"OPERATOR:{rocksdb},STATE_BACKEND:{rocksdb},PYTHON:{PYTHON_SLOT_MIB}",
        (
            f"a slot's {rocksdb} MiB for RocksDB to {PYTHON_SLOT_MIB} MiB for the "
            "Python worker, as they were counted"
        ),
    )


def rocksdb_slot_mib(environment: Environment) -> int:
    """Block cache and write buffers of one slot: twice the state of the agent with the most per subtask."""
    most = max(
        agent.workload.keys * agent.workload.state_bytes_per_key // agent.scaling.parallelism_min
        for agent in environment.agents
    )
    return max(ROCKSDB_SLOT_MIN_MIB, min(ROCKSDB_SLOT_MAX_MIB, -(-2 * most // MIB)))


def _slots(environment: Environment) -> Because[int]:
    wanted = sum(agent.scaling.parallelism_min for agent in environment.agents)
    count = environment.substrate.taskmanagers
    left = max(1, count - 1)
    lost = f"with one of {count} TaskManagers lost" if count > 1 else "on the only TaskManager"
    return because(
        -(-wanted // left),
        f"the agents' parallelism_min adds up to {wanted}, and {wanted} slots are left {lost}: "
        f"{wanted} / {left}, rounded up",
    )


def _overhead_mib(rest: int) -> int:
    """Of a process whose other parts take ``rest``: a tenth of the whole is a ninth of the rest."""
    return max(OVERHEAD_MIN_MIB, min(OVERHEAD_MAX_MIB, -(-rest // 9)))
