"""Ten declarations whose values were worked out by hand, from the formulas in the sources.

Flink 2.3 (``flink-runtime``):

- ``ProcessMemoryUtils``: process = flink + metaspace + overhead, overhead = 0.1 x process within
  ``jvm-overhead.min`` 192 MiB and ``.max`` 1 GiB; a tenth of the whole is a ninth of the rest, rounded up.
- ``TaskExecutorFlinkMemoryUtils``: flink = framework heap 128 + framework off-heap 128 + task heap +
  network + managed. ``JobManagerFlinkMemoryUtils``: flink = heap + off-heap 128. Metaspace is 256 for both.
- ``NettyShuffleUtils.computeNetworkBuffersForAnnouncing``: a bounded pipelined gate takes 2 buffers a
  channel + 8, a partition max(n + 1, 2 n + 8) for n subpartitions; 5 more may be overdrawn. With p subtasks
  on both sides a slot takes 4 p + 21 buffers of 32 KiB; ``network.min`` is 64 MiB.

The plan's own: a slot has 128 MiB of task heap over a base of 256, 192 MiB for Python, and for RocksDB twice
its subtask's state within 96 to 512 MiB; state is keys x (bytes + 64); a JobManager's heap is 448 + 32 a job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from headrace.plan import StackPlan, plan
from tests.unit.environment.declarations import parsed, shipped


@dataclass(frozen=True)
class Declared:
    taskmanagers: int
    agents: tuple[tuple[int, int, int, int], ...]
    """parallelism_min, parallelism_max, keys, state_bytes_per_key"""
    max_replay: str
    max_outage: str
    max_recovery: str
    interval: str | None = None


@dataclass(frozen=True)
class ByHand:
    slots: int
    rocksdb: int
    network: int
    task_heap: int
    managed: int
    overhead: int
    process: int
    """MiB, as those before and the next two."""
    jobmanager_heap: int
    jobmanager: int
    interval: int
    """ms, as all that follow but the failures."""
    timeout: int
    failures: int
    heartbeat: int
    session: int
    transaction: int


SMALL = (1, 1, 10, 1)
# fmt: off
CASES: tuple[tuple[Declared, ByHand], ...] = (
    # 2 x 41.6 MB of state = 80 MiB; 37 buffers = 1.2 MiB;
    # 256 + 384 + 64 + 288 = 992, + 256 = 1248, / 9 = 139.
    (
        Declared(2, ((1, 4, 10_000, 4096),), "10s", "10m", "90s"),
        ByHand(
            1, 96, 64, 384, 288, 192, 1440, 480, 1056,
            2_000, 30_000, 300, 12_000, 15_000, 259_290_000,
        ),
    ),
    # 8 x 25 buffers = 6.3 MiB; 256 + 1280 + 64 + 2304 = 3904, + 256 = 4160, / 9 = 462.2.
    # 1 s / 5 = 200 ms.
    (
        Declared(1, (SMALL,) * 8, "1s", "1m", "30s"),
        ByHand(
            8, 96, 64, 1280, 2304, 463, 4623, 704, 1280,
            200, 30_000, 300, 5_000, 5_000, 259_230_000,
        ),
    ),
    # 2 x 266 MB = 507.4 MiB; 2 x 533 buffers = 33.3 MiB;
    # 256 + 512 + 64 + 1400 = 2232, + 256 = 2488, / 9 = 276.4.
    (
        Declared(3, ((4, 128, 1_000_000, 1_000),), "5s", "24h", "15m"),
        ByHand(
            2, 508, 64, 512, 1400, 277, 2765, 480, 1056,
            1_000, 30_000, 86_400, 50_000, 40_000, 260_100_000,
        ),
    ),
    # 2 x 325 MB = 619.9 MiB; 128 x 533 buffers = 2132 MiB;
    # 256 + 16640 + 2132 + 90112 = 109140, + 256, + 1024.
    (
        Declared(2, ((128, 128, 10_000_000, 4096),), "1h", "1h", "60s"),
        ByHand(
            128, 512, 2132, 16640, 90112, 1024, 110_420, 480, 1056,
            2_000, 30_000, 1_800, 8_000, 10_000, 259_260_000,
        ),
    ),
    # JobManager: 1408 + 128 + 256 = 1792, / 9 = 199.1. 90 s / 600 ms = 150 failures.
    (
        Declared(2, (SMALL,) * 30, "3s", "90s", "45s"),
        ByHand(
            30, 96, 64, 4096, 8640, 1024, 14_336, 1408, 1992,
            600, 30_000, 150, 6_000, 7_500, 259_245_000,
        ),
    ),
    # 64 subtasks over the 15 TaskManagers that are left; 2 x 50 MB = 95.4 MiB; 600 s / 1.4 s = 428.6.
    (
        Declared(16, ((64, 64, 6_400_000, 436),), "7s", "10m", "2m"),
        ByHand(
            5, 96, 64, 896, 1440, 324, 3236, 480, 1056,
            1_400, 30_000, 429, 16_000, 20_000, 259_320_000,
        ),
    ),
    # 64 x 533 buffers = 1066 MiB; 256 + 8448 + 1066 + 18432 = 28202, + 256, + 1024.
    (
        Declared(1, ((64, 128, 64, 1),), "9s", "5m", "75s"),
        ByHand(
            64, 96, 1066, 8448, 18432, 1024, 29_482, 480, 1056,
            1_800, 30_000, 167, 10_000, 12_500, 259_275_000,
        ),
    ),
    # The first has more state: 2 x 131.2 MB = 250.2 MiB.
    # 256 + 896 + 64 + 2215 = 3431, + 256 = 3687, / 9 = 409.7.
    (
        Declared(2, ((2, 4, 100_000, 2560), (3, 6, 30, 1)), "1500ms", "2m", "5m"),
        ByHand(
            5, 251, 64, 896, 2215, 410, 4097, 512, 1088,
            300, 30_000, 400, 40_000, 40_000, 259_500_000,
        ),
    ),
    # 2 x 51.2 MB = 97.7 MiB; 256 + 640 + 64 + 870 = 1830, + 256 = 2086, / 9 = 231.8.
    # The interval as declared.
    (
        Declared(5, ((10, 20, 500_000, 960),), "10s", "1m", "100s", interval="5s"),
        ByHand(
            3, 98, 64, 640, 870, 232, 2318, 480, 1056,
            5_000, 30_000, 12, 13_333, 16_666, 259_300_000,
        ),
    ),
    # 40 x 181 buffers = 226.3 MiB; 256 + 5376 + 227 + 11520 = 17379, + 256, + 1024. Timeout 5 x 10 s.
    (
        Declared(2, ((40, 40, 40, 1),), "30s", "10m", "90s", interval="10s"),
        ByHand(
            40, 96, 227, 5376, 11520, 1024, 18_659, 480, 1056,
            10_000, 50_000, 60, 12_000, 15_000, 259_290_000,
        ),
    ),
)
# fmt: on


def test_there_are_ten() -> None:
    assert len(CASES) == 10


@pytest.mark.parametrize(("declared", "by_hand"), CASES)
def test_the_plan_is_what_was_worked_out(declared: Declared, by_hand: ByHand) -> None:
    made = planned(declared)
    jobmanager, memory = made.flink.jobmanager, made.flink.taskmanager
    rhythm, times = made.flink.checkpoints, made.flink.failover
    assert (
        ByHand(
            slots=memory.slots,
            rocksdb=memory.rocksdb_slot_mib,
            network=memory.network_mib,
            task_heap=memory.task_heap_mib,
            managed=memory.managed_mib,
            overhead=memory.jvm_overhead_mib,
            process=memory.process_mib,
            jobmanager_heap=jobmanager.heap_mib,
            jobmanager=jobmanager.process_mib,
            interval=rhythm.interval_ms,
            timeout=rhythm.timeout_ms,
            failures=rhythm.tolerable_failures,
            heartbeat=times.heartbeat_timeout_ms,
            session=times.leader_session_ms,
            transaction=made.agents[0].spec.kafka.transaction_timeout_ms,
        )
        == by_hand
    )


@pytest.mark.parametrize(
    ("rate", "latency", "calls", "limit", "needed", "in_flight"),
    [
        # 500/s x 2 s = 1000, x 3 = 3000, over 4 subtasks = 750 each, of which a loop keeps 256.
        (500, "2s", 1, None, 1_000, 1_024),
        # 10/s x 1 s x 0.5 = 5, x 3 = 15, over 4 = 3.75: each has 4.
        (10, "1s", 0.5, None, 5, 16),
        # 50/s x 2 s = 100, x 3 = 300, 75 each; 3600 a minute are 60/s x 2 s = 120, 30 each.
        (50, "2s", 1, 3_600, 100, 120),
        # 3/s x 100 ms = 0.3; the limit of 180 a minute is reached with 1, and each subtask has 1.
        (3, "100ms", 1, 180, 1, 4),
    ],
)
def test_calls_in_flight_are_little_s_law(
    rate: int, latency: str, calls: float, limit: int | None, needed: int, in_flight: int
) -> None:
    declaration = shipped()
    agent = declaration["agents"][0]
    agent["scaling"] = {"parallelism_min": 4, "parallelism_max": 4}
    agent["workload"] |= {"events_per_second": rate, "model_latency": latency, "model_calls_per_event": calls}
    agent["model"] |= {"requests_per_minute": limit}
    made = plan(parsed(declaration)).agents[0]
    assert (made.model_calls_needed, made.model_calls_in_flight) == (needed, in_flight)


def planned(declared: Declared) -> StackPlan:
    declaration = shipped()
    declaration["substrate"]["taskmanagers"] = declared.taskmanagers
    template: dict[str, Any] = declaration["agents"][0]
    del template["model"]
    declaration["agents"] = [
        template
        | {
            "name": f"agent-{at}",
            "workload": {"events_per_second": 1, "keys": keys, "state_bytes_per_key": size},
            "scaling": {"parallelism_min": least, "parallelism_max": most},
        }
        for at, (least, most, keys, size) in enumerate(declared.agents)
    ]
    declaration["recovery"] = {
        "max_replay": declared.max_replay,
        "max_outage": declared.max_outage,
        "max_recovery": declared.max_recovery,
    }
    declaration["checkpoints"] = {"interval": declared.interval}
    return plan(parsed(declaration))
