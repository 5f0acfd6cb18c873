"""Checks of the server: version, settings, and what is left of them."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.capture.finding import Flaw, Mend
from headrace.capture.look import Look
from headrace.capture.statements import setting
from headrace.environment.units import MIB

OLDEST = 130000
"""``publish_via_partition_root`` and ``max_slot_wal_keep_size`` came with PostgreSQL 13."""
SPARE = 4
"""Slots and senders more than there are, where there are too few."""
CAP_MB, LEAST_CAP_MB = 16384, 64
"""Of the WAL that slots keep: as much as the plan gives a local server at most."""
SLOTS_KEEP = """
SELECT coalesce(max(pg_wal_lsn_diff(
    CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn
)), 0)::bigint FROM pg_replication_slots
"""


def server_version(look: Look) -> Iterator[Flaw]:
    """The server is PostgreSQL 13 or newer"""
    if look.version < OLDEST:
        yield Flaw(
            "error",
            f"version {look.setting('server_version')}",
            "it can't bound the WAL that a slot keeps, so a stopped connector fills its disk",
            Mend(advice="upgrade the server to 13 or newer"),
        )


def wal_level(look: Look) -> Iterator[Flaw]:
    """`wal_level` is `logical`"""
    level = look.setting("wal_level")
    if level == "logical":
        return
    amazon = Mend(advice="set rds.logical_replication to 1 in the server's parameter group, and restart it")
    yield Flaw(
        "error",
        f"wal_level is {level}",
        "the WAL lacks what changes are decoded from, so the connector can't make its slot",
        amazon if look.on_amazon else setting(look, "wal_level", "logical", restart=True),
    )


def free_slots(look: Look) -> Iterator[Flaw]:
    """There is a replication slot left, or the source has its own"""
    taken = look.rows("SELECT slot_name::text, active FROM pg_replication_slots ORDER BY 1")
    most = look.number("max_replication_slots")
    if look.slot or len(taken) < most:
        return
    idle = ", ".join(name for name, active in taken if not active) or "none"
    yield Flaw(
        "error",
        f"all {most} of max_replication_slots are taken; not read by anybody: {idle}",
        "the connector can't make its slot",
        setting(look, "max_replication_slots", str(most + SPARE), restart=True),
    )


def free_senders(look: Look) -> Iterator[Flaw]:
    """There is a WAL sender left, or the source's connector has its own"""
    most = look.number("max_wal_senders")
    busy = look.value("SELECT count(*) FROM pg_stat_get_wal_senders()")
    if look.is_captured or busy < most:
        return
    yield Flaw(
        "error",
        f"all {most} of max_wal_senders are busy",
        "the connector can't read its slot",
        setting(look, "max_wal_senders", str(most + SPARE), restart=True),
    )


def bounded_wal(look: Look) -> Iterator[Flaw]:
    """`max_slot_wal_keep_size` is finite, and the disk has room for it"""
    cap_mb = look.number("max_slot_wal_keep_size")
    kept_mb = look.value(SLOTS_KEEP) // MIB
    free_mb = None if look.disk_free_bytes is None else look.disk_free_bytes // MIB
    if cap_mb >= 0 and free_mb is None:
        yield Flaw(
            "info",
            f"max_slot_wal_keep_size is {cap_mb} MB, and the disk's free space is not known here",
            "whether that much WAL fits was not looked at",
            Mend(advice="tell the free space by --disk-free"),
        )
    elif cap_mb < 0 or (free_mb is not None and cap_mb > free_mb + kept_mb):
        wanted_mb = CAP_MB if free_mb is None else max(LEAST_CAP_MB, min(CAP_MB, free_mb // 2))
        bound = "unlimited" if cap_mb < 0 else f"{cap_mb} MB, and the disk has {free_mb} MB left"
        # A slot that keeps more than the new bound would be lost at the next checkpoint.
        safe = free_mb is not None and kept_mb < wanted_mb // 2
        yield Flaw(
            # What a disk has left is another number tomorrow; no bound at all is none tomorrow, too.
            "error" if cap_mb < 0 else "warning",
            f"max_slot_wal_keep_size is {bound}",
            "a connector that is stopped for long enough fills the server's disk, and the database stops",
            setting(look, "max_slot_wal_keep_size", f"{wanted_mb}MB", restart=False, safe=safe),
        )


def idle_slots_stay(look: Look) -> Iterator[Flaw]:
    """`idle_replication_slot_timeout` (18 and newer) is off"""
    timeout = look.setting("idle_replication_slot_timeout")
    if timeout in {None, "0"}:
        return
    yield Flaw(
        "warning",
        f"idle_replication_slot_timeout is {timeout}",
        "a connector that is stopped for longer loses its slot, and with it the changes since",
        # It is the whole server's policy, so a person decides.
        setting(look, "idle_replication_slot_timeout", "0", restart=False, safe=False),
    )
