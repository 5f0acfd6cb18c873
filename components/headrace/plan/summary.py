"""A plan as a person thinks of it: what runs, what was traded for what, what costs most.

Everything here is read off a finished plan; nothing is worked out anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headrace.environment.units import DAY_MS, HOUR_MS, MIB, SECOND_MS
from headrace.plan.model import AgentPlan, FlinkPlan, StackPlan

SECONDS_PER_DAY = DAY_MS // SECOND_MS


@dataclass(frozen=True)
class Running:
    """One kind of process."""

    name: str
    count: int
    mib: int
    """Of each: what it is given, in all for Flink's, as heap for the others."""
    because: str


@dataclass(frozen=True)
class Trade:
    """What was chosen, and what it costs elsewhere."""

    chosen: str
    gain: str
    price: str


@dataclass(frozen=True)
class Driver:
    """Something that costs, and the declared fact that changes it."""

    name: str
    amount: float
    unit: str
    share: float
    """Of all drivers with the same unit."""
    changed_by: str


def local_running(plan: StackPlan) -> tuple[Running, ...]:
    """Every process of the local stack that has a size."""
    reasons = plan.reasons
    flink = plan.flink
    others = {
        "Kafka": "kafka",
        "Kafka Connect": "connect",
        "S3Proxy": "object_store",
        "ZooKeeper": "zookeeper",
    }
    return (
        Running(
            "Flink TaskManager",
            flink.taskmanager.count,
            flink.taskmanager.process_mib,
            reasons["flink.taskmanager.process_mib"],
        ),
        Running(
            "Flink JobManager",
            1,
            flink.jobmanager.process_mib,
            reasons["flink.jobmanager.process_mib"],
        ),
        *(
            Running(name, 1, getattr(plan, part).heap_mib, reasons[f"{part}.heap_mib"])
            for name, part in others.items()
        ),
    )


def local_cost_drivers(plan: StackPlan) -> tuple[Driver, ...]:
    """Of this machine: memory, largest first."""
    running = local_running(plan)
    whole = sum(part.count * part.mib for part in running)
    facts = {
        "Flink TaskManager": "scaling.parallelism_min, workload.keys, substrate.taskmanagers",
        "Flink JobManager": "the number of agents",
    }
    drivers = (
        Driver(
            part.name,
            part.count * part.mib,
            "MiB",
            part.count * part.mib / whole,
            facts.get(part.name, "nothing that is declared"),
        )
        for part in running
    )
    return tuple(sorted(drivers, key=lambda driver: -driver.amount))


def model_calls_per_day(agent: AgentPlan) -> float:
    """At the declared peak, all day."""
    return agent.model_calls_per_second * SECONDS_PER_DAY


def trades(agents: Sequence[AgentPlan], flink: FlinkPlan) -> Iterator[Trade]:
    """The choices between two goods, with the numbers of this plan."""
    rhythm, memory = flink.checkpoints, flink.taskmanager
    yield Trade(
        f"a checkpoint every {rhythm.interval_ms} ms",
        f"a failure repeats about {rhythm.interval_ms} ms of events; exactly-once decisions are seen as soon",
        f"{DAY_MS // rhythm.interval_ms} checkpoints a day and job, each with requests to the object store",
    )
    yield Trade(
        f"{rhythm.tolerable_failures} failed checkpoints are tolerated",
        f"a storage outage of {rhythm.tolerable_failures * rhythm.interval_ms // SECOND_MS} s "
        "restarts no job",
        "a failure at its end repeats as much",
    )
    timeout_ms = max(agent.spec.kafka.transaction_timeout_ms for agent in agents)
    yield Trade(
        f"Kafka transactions live for {timeout_ms / HOUR_MS:.1f} h",
        "what a checkpoint prepared is still committed after that long an outage",
        "readers wait behind a transaction that nobody ends, for as long",
    )
    wanted = sum(agent.spec.parallelism for agent in agents)
    spare = memory.slots * memory.count - wanted
    if spare > 0:
        yield Trade(
            f"{spare} of {memory.slots * memory.count} slots are spare",
            "every agent goes on at full parallelism while a TaskManager is lost",
            f"{spare * (memory.rocksdb_slot_mib + memory.python_slot_mib)} MiB of managed memory that waits",
        )
    if not rhythm.local_recovery:
        yield Trade(
            "no copies of state on local disks",
            "half the disk and its writes",
            "a restore reads all of the state from the object store",
        )
    for agent in agents:
        if agent.model_calls_in_flight > agent.model_calls_needed:
            yield Trade(
                f"{agent.name}: {agent.model_calls_in_flight} model calls in flight, "
                f"{agent.model_calls_needed} needed",
                f"a backlog is worked off {agent.model_calls_in_flight / agent.model_calls_needed:.1f} x as "
                "fast as it came",
                "the provider sees that many calls at once",
            )


def state_mib(agent: AgentPlan) -> int:
    """Of all keys, rounded up."""
    return -(-agent.state_bytes // MIB)
