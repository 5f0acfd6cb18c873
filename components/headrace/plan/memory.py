"""Slots and memory of the Flink processes, by Flink's own formulas.

Worked out from the bottom: what a slot needs, then what a process of so many slots needs. Flink is
given each component exactly, so nothing is left for its fractions to decide:

    process            = flink + metaspace + overhead      overhead = clamp(0.1 x process, 192 MiB, 1 GiB)
    flink, TaskManager = framework heap + framework off-heap + task heap + network + managed
    flink, JobManager  = heap + off-heap
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.environment.model import Agent
from headrace.environment.units import MIB
from headrace.plan.because import Because, because, build, mapping, merged, settings
from headrace.plan.model import JobManagerPlan, TaskManagerPlan
from headrace.plan.network import network_mib
from headrace.plan.state import subtask_state_bytes

METASPACE_MIB = 256
FRAMEWORK_MIB = 128
OVERHEAD_SHARE = 10
OVERHEAD_MIN_MIB, OVERHEAD_MAX_MIB = 192, 1024
TASK_HEAP_BASE_MIB, TASK_HEAP_SLOT_MIB = 256, 128
PYTHON_SLOT_MIB = 192
ROCKSDB_TO_STATE = 2
ROCKSDB_SLOT_MIN_MIB, ROCKSDB_SLOT_MAX_MIB = 96, 512
JOBMANAGER_OFFHEAP_MIB = 128
JOBMANAGER_HEAP_MIB, JOBMANAGER_HEAP_AGENT_MIB = 448, 32


def taskmanager(
    agents: Sequence[Agent], count: Because[int], slots: Because[int]
) -> Because[TaskManagerPlan]:
    """Memory of a TaskManager with so many slots, any of which may run any of the agents."""
    rocksdb = _rocksdb_slot_mib(agents)
    network = network_mib(agents, slots.value)
    task_heap = TASK_HEAP_BASE_MIB + TASK_HEAP_SLOT_MIB * slots.value
    managed = (rocksdb.value + PYTHON_SLOT_MIB) * slots.value
    flink = 2 * FRAMEWORK_MIB + task_heap + network.value + managed
    overhead = _overhead_mib(flink + METASPACE_MIB)
    framework = because(FRAMEWORK_MIB, f"Flink's default of {FRAMEWORK_MIB} MiB")
    return build(
        TaskManagerPlan,
        count=count,
        slots=slots,
        process_mib=because(
            flink + METASPACE_MIB + overhead.value,
            f"{flink} MiB for Flink (heap {FRAMEWORK_MIB} + {task_heap}, off-heap {FRAMEWORK_MIB}, network "
            f"{network.value}, managed {managed}) + {METASPACE_MIB} metaspace + {overhead.value} overhead",
        ),
        jvm_overhead_mib=overhead,
        metaspace_mib=_metaspace(),
        framework_heap_mib=framework,
        framework_offheap_mib=framework,
        task_heap_mib=because(
            task_heap,
            f"{TASK_HEAP_BASE_MIB} MiB + {TASK_HEAP_SLOT_MIB} for the Kafka clients of each of "
            f"{slots.value} slots",
        ),
        network_mib=network,
        managed_mib=because(
            managed,
            f"{slots.value} slots x ({rocksdb.value} MiB for RocksDB + {PYTHON_SLOT_MIB} for Python)",
        ),
        rocksdb_slot_mib=rocksdb,
        python_slot_mib=because(
            PYTHON_SLOT_MIB, f"{PYTHON_SLOT_MIB} MiB: bundles, caches and calls in flight of one subtask"
        ),
    )


def jobmanager(agents: Sequence[Agent]) -> Because[JobManagerPlan]:
    """Memory of the JobManager of so many jobs."""
    jobs = len(agents)
    heap = JOBMANAGER_HEAP_MIB + JOBMANAGER_HEAP_AGENT_MIB * jobs
    overhead = _overhead_mib(heap + JOBMANAGER_OFFHEAP_MIB + METASPACE_MIB)
    return build(
        JobManagerPlan,
        process_mib=because(
            heap + JOBMANAGER_OFFHEAP_MIB + METASPACE_MIB + overhead.value,
            f"heap {heap} MiB + off-heap {JOBMANAGER_OFFHEAP_MIB} + metaspace {METASPACE_MIB} + overhead "
            f"{overhead.value}",
        ),
        heap_mib=because(
            heap,
            f"{JOBMANAGER_HEAP_MIB} MiB + {JOBMANAGER_HEAP_AGENT_MIB} for the graph and checkpoints of "
            f"each of {jobs} jobs",
        ),
        offheap_mib=because(JOBMANAGER_OFFHEAP_MIB, f"Flink's default of {JOBMANAGER_OFFHEAP_MIB} MiB"),
        metaspace_mib=_metaspace(),
        jvm_overhead_mib=overhead,
    )


def memory_options(jobmanager: JobManagerPlan, taskmanager: TaskManagerPlan) -> Because[dict[str, str]]:
    """Every component, as Flink's options."""
    plain = "as worked out, {} MiB"
    rest = "as worked out, {} MiB; the heap is the rest"
    exactly = "as worked out, {} MiB; least and most are equal, so Flink's fraction decides nothing"
    sizes = {
        "jobmanager.memory.process.size": (jobmanager.process_mib, plain),
        "jobmanager.memory.off-heap.size": (jobmanager.offheap_mib, rest),
        "jobmanager.memory.jvm-metaspace.size": (jobmanager.metaspace_mib, plain),
        "jobmanager.memory.jvm-overhead.min": (jobmanager.jvm_overhead_mib, exactly),
        "jobmanager.memory.jvm-overhead.max": (jobmanager.jvm_overhead_mib, exactly),
        "taskmanager.memory.process.size": (taskmanager.process_mib, plain),
        "taskmanager.memory.jvm-overhead.min": (taskmanager.jvm_overhead_mib, exactly),
        "taskmanager.memory.jvm-overhead.max": (taskmanager.jvm_overhead_mib, exactly),
        "taskmanager.memory.jvm-metaspace.size": (taskmanager.metaspace_mib, plain),
        "taskmanager.memory.framework.heap.size": (taskmanager.framework_heap_mib, plain),
        "taskmanager.memory.framework.off-heap.size": (taskmanager.framework_offheap_mib, plain),
        "taskmanager.memory.network.min": (taskmanager.network_mib, exactly),
        "taskmanager.memory.network.max": (taskmanager.network_mib, exactly),
        "taskmanager.memory.managed.size": (taskmanager.managed_mib, rest),
    }
    exact = settings({key: (f"{mib}m", why.format(mib)) for key, (mib, why) in sizes.items()})
    shares = mapping({"taskmanager.memory.managed.consumer-weights": _consumer_weights(taskmanager)}, "none")
    slots = settings(
        {"taskmanager.numberOfTaskSlots": (taskmanager.slots, f"as worked out, {taskmanager.slots}")}
    )
    return merged(exact, shares, slots)


def _consumer_weights(taskmanager: TaskManagerPlan) -> Because[str]:
    rocksdb, python = taskmanager.rocksdb_slot_mib, taskmanager.python_slot_mib
    return because(
        f"OPERATOR:{rocksdb},STATE_BACKEND:{rocksdb},PYTHON:{python}",
        f"a slot's {rocksdb} MiB for RocksDB to {python} MiB for the Python worker, as they were counted",
    )


def _rocksdb_slot_mib(agents: Sequence[Agent]) -> Because[int]:
    """Block cache and write buffers of one slot."""
    most = max(map(subtask_state_bytes, agents))
    wanted = -(-ROCKSDB_TO_STATE * most // MIB)
    return because(
        max(ROCKSDB_SLOT_MIN_MIB, min(ROCKSDB_SLOT_MAX_MIB, wanted)),
        f"{ROCKSDB_TO_STATE} x the largest subtask's state of {most} bytes = {wanted} MiB, kept between "
        f"{ROCKSDB_SLOT_MIN_MIB} and {ROCKSDB_SLOT_MAX_MIB}",
    )


def _metaspace() -> Because[int]:
    return because(METASPACE_MIB, f"Flink's default of {METASPACE_MIB} MiB holds the connectors' classes")


def _overhead_mib(rest: int) -> Because[int]:
    """Of a process whose other parts take ``rest``: a tenth of the whole is a ninth of the rest."""
    return because(
        max(OVERHEAD_MIN_MIB, min(OVERHEAD_MAX_MIB, -(-rest // (OVERHEAD_SHARE - 1)))),
        f"1/{OVERHEAD_SHARE} of the process, kept between {OVERHEAD_MIN_MIB} and {OVERHEAD_MAX_MIB} MiB",
    )
