"""The local source database: PostgreSQL with logical decoding."""

from __future__ import annotations

from headrace.environment.model import Environment
from headrace.environment.units import KIB
from headrace.plan.because import Because, build, settings
from headrace.plan.model import DatabaseServerPlan, Ports
from headrace.plan.ports import LOOPBACK

SPARE = 4
"""Slots and senders beside the connectors': an old slot, a person's ``pg_recvlogical``, a test."""
WAL_BYTES_PER_EVENT = 16 * KIB
WAL_MIN_MB, WAL_MAX_MB = 1024, 16384
WAL_TO_OUTAGE = 4
BYTES_PER_MB = 1_000_000


def database_server(environment: Environment, ports: Ports) -> Because[DatabaseServerPlan]:
    """``postgresql.conf``, but for folders and logs."""
    sources = len(environment.sources)
    outage = environment.recovery.max_outage
    rate = sum(agent.workload.events_per_second for agent in environment.agents)
    wal_mb = int(WAL_TO_OUTAGE * rate * outage.seconds * WAL_BYTES_PER_EVENT / BYTES_PER_MB)
    slots = (sources + SPARE, f"{sources} sources + {SPARE} spare")
    return build(
        DatabaseServerPlan,
        settings=settings(
            {
                "listen_addresses": (LOOPBACK, "loopback only, 1 address"),
                "port": (ports.postgres, f"the stack's port for it, {ports.postgres}"),
                "unix_socket_directories": ("", "0 sockets: a path may be too long, and the port is enough"),
                "password_encryption": (
                    "scram-sha-256",
                    "0 passwords travel or are stored in a form that can be used",
                ),
                "wal_level": ("logical", "Debezium reads changes by logical decoding: 1 slot per source"),
                "max_replication_slots": slots,
                "max_wal_senders": slots,
                "max_slot_wal_keep_size": (
                    f"{max(WAL_MIN_MB, min(WAL_MAX_MB, wal_mb))}MB",
                    (
                        f"{WAL_TO_OUTAGE} x {rate} events/s x {WAL_BYTES_PER_EVENT // KIB} KiB x max_outage "
                        f"{outage} = {wal_mb} MB, kept "
                        f"between {WAL_MIN_MB} and {WAL_MAX_MB}: unlimited, a stopped connector "
                        "would fill the disk"
                    ),
                ),
                "wal_sender_timeout": ("30s", "30 s until a dead connector's hold on its slot ends"),
                "max_connections": (50, "50: connectors, the demo load, a person"),
                "shared_buffers": ("64MB", "64 MB, a laptop's share for a demo database"),
                "max_wal_size": ("512MB", "512 MB between checkpoints: restart after a kill takes seconds"),
                "timezone": ("UTC", "1 clock for every timestamp"),
            }
        ),
    )
