"""Network memory of a TaskManager, from the gates of its agents' jobs.

A job has one exchange, by shard: a source subtask writes one subpartition for each agent subtask, and an
agent subtask reads one channel of each source subtask; both stand in one slot. Flink's formulas for a
bounded pipelined exchange (``NettyShuffleUtils.computeNetworkBuffersForAnnouncing``, Flink 2.3):

    input gate        exclusive x channels + floating
    result partition  max(subpartitions + 1, exclusive x subpartitions + floating)

and a partition may overdraw some more. A buffer is one segment. These numbers were options once; Flink 2 has
them fixed, so only the segment's size is configured.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.environment.model import Agent
from headrace.environment.units import KIB, MIB
from headrace.plan.because import Because, because, settings

SEGMENT_KIB = 32
EXCLUSIVE_BUFFERS, FLOATING_BUFFERS, OVERDRAFT_BUFFERS = 2, 8, 5
NETWORK_MIN_MIB = 64
"""Flink's own least, ``taskmanager.memory.network.min``."""


def slot_buffers(parallelism: int) -> int:
    """Buffers of one slot: the source's partition and the agent's gate, at this parallelism."""
    gate = EXCLUSIVE_BUFFERS * parallelism + FLOATING_BUFFERS
    partition = max(parallelism + 1, EXCLUSIVE_BUFFERS * parallelism + FLOATING_BUFFERS)
    return gate + partition + OVERDRAFT_BUFFERS


def network_mib(agents: Sequence[Agent], slots: int) -> Because[int]:
    """For every slot at the widest agent's largest parallelism."""
    widest = max(agent.scaling.parallelism_max for agent in agents)
    buffers = slots * slot_buffers(widest)
    needed = -(-buffers * SEGMENT_KIB * KIB // MIB)
    return because(
        max(NETWORK_MIN_MIB, needed),
        f"{slots} slots x {slot_buffers(widest)} buffers of {SEGMENT_KIB} KiB for the gate and the partition "
        f"of one exchange over {widest} subtasks = {needed} MiB, at least Flink's {NETWORK_MIN_MIB}",
    )


def buffer_options() -> Because[dict[str, str]]:
    """What the formulas count with, and how full buffers get."""
    return settings(
        {
            "taskmanager.memory.segment-size": (
                f"{SEGMENT_KIB}kb",
                f"{SEGMENT_KIB} KiB, Flink's default: the network memory is counted with it",
            ),
            "taskmanager.network.memory.buffer-debloat.enabled": (
                True,
                "under back pressure buffers hold 1 s of records, so a barrier passes soon",
            ),
        }
    )
