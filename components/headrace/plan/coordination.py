"""ZooKeeper, for Flink's leader election."""

from __future__ import annotations

from headrace.plan.because import Because, because, build, settings
from headrace.plan.model import JvmProcessPlan, Ports
from headrace.plan.ports import LOOPBACK

ZOOKEEPER_HEAP_MIB = 128
TICK_MS = 2_000
LEAST_TICKS, MOST_TICKS = 2, 20
"""The server keeps sessions within so many ticks, whatever the client asks for."""


def zookeeper(ports: Ports, session_ms: int) -> Because[JvmProcessPlan]:
    """``zoo.cfg`` but for the folder of the data."""
    return build(
        JvmProcessPlan,
        heap_mib=because(ZOOKEEPER_HEAP_MIB, f"{ZOOKEEPER_HEAP_MIB} MiB: a few hundred small nodes"),
        settings=settings(
            {
                "tickTime": (
                    TICK_MS,
                    f"{TICK_MS} ms: a session's {session_ms} ms are {LEAST_TICKS} to {MOST_TICKS} ticks",
                ),
                "initLimit": (10, "10 ticks; a quorum of 1 waits for nobody"),
                "syncLimit": (5, "5 ticks; a quorum of 1 waits for nobody"),
                "clientPort": (ports.zookeeper, f"the stack's port for it, {ports.zookeeper}"),
                "clientPortAddress": (LOOPBACK, "loopback only, 1 address"),
                "maxClientCnxns": (60, "60 connections from this machine: JobManager, TaskManagers, clients"),
                "admin.enableServer": (False, "its web server is not in Flink's jar: 1 port less"),
                "4lw.commands.whitelist": ("srvr,ruok", "the 2 commands that tell whether it is ready"),
                "autopurge.snapRetainCount": (3, "3 snapshots, ZooKeeper's least"),
                "autopurge.purgeInterval": (1, "every 1 hour, so that the folder does not grow"),
            }
        ),
    )
