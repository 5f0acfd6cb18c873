"""What is watched of a source, as metrics of Prometheus, and the alerts on them."""

from __future__ import annotations

from typing import Any, NamedTuple


class Metric(NamedTuple):
    name: str
    labels: tuple[str, ...]
    meaning: str


SOURCE = ("source",)
CONNECTOR_RUNNING = Metric(
    "headrace_capture_connector_running", SOURCE, "1 while the connector and its task run."
)
TASK_RESTARTS = Metric(
    "headrace_capture_task_restarts", SOURCE, "Restarts of a failed task, since the watch began."
)
SLOT_ACTIVE = Metric(
    "headrace_capture_slot_active", SOURCE, "1 while a connector reads the replication slot."
)
SLOT_LOST = Metric(
    "headrace_capture_slot_lost", SOURCE, "1 where the server removed WAL that the slot needs, or it is gone."
)
SLOT_LAG = Metric(
    "headrace_capture_slot_lag_bytes", SOURCE, "WAL written since what the slot's reader confirmed."
)
SLOT_KEPT = Metric("headrace_capture_slot_wal_kept_bytes", SOURCE, "WAL that the server keeps for the slot.")
SLOT_CAP = Metric(
    "headrace_capture_slot_wal_cap_bytes",
    SOURCE,
    "`max_slot_wal_keep_size`; not there where it is unlimited.",
)
HEARTBEAT_AGE = Metric(
    "headrace_capture_heartbeat_age_seconds", SOURCE, "Since the newest heartbeat of the connector in Kafka."
)
METRICS = (
    CONNECTOR_RUNNING,
    TASK_RESTARTS,
    SLOT_ACTIVE,
    SLOT_LOST,
    SLOT_LAG,
    SLOT_KEPT,
    SLOT_CAP,
    HEARTBEAT_AGE,
)

LASTING = "1m"
"""For which a thing has to be as it is, so that a restart is no alert."""
UNWATCHED = "5m"
"""The same, where a pod may have to wait for a node."""
HALF, MOST = 0.5, 0.8
"""Of the cap: the first is told, the second is to wake somebody."""
HEARTBEATS_MISSED_S = 60
"""A heartbeat comes every 5 s."""
RESTARTS, RESTARTS_WINDOW = 3, "10m"


def alert_rules() -> list[dict[str, Any]]:
    """Rules of Prometheus, over all sources; each names its ``source``."""
    return [
        _alert(
            "CaptureStopped",
            f"{CONNECTOR_RUNNING.name} == 0",
            "critical",
            "its connector or task does not run: changes wait in the database, which keeps its log for them",
        ),
        *slot_alert_rules("`headrace capture resnapshot` reads the tables anew"),
        _alert(
            "HeartbeatsMissing",
            f"{HEARTBEAT_AGE.name} > {HEARTBEATS_MISSED_S}",
            "warning",
            f"its connector has told Kafka nothing for over {HEARTBEATS_MISSED_S} s",
        ),
        _alert(
            "CaptureRestarts",
            f"increase({TASK_RESTARTS.name}[{RESTARTS_WINDOW}]) > {RESTARTS}",
            "warning",
            f"its task was restarted more than {RESTARTS} times within {RESTARTS_WINDOW}",
            lasting="0m",
        ),
        {
            "alert": "CaptureUnwatched",
            "expr": f"absent({CONNECTOR_RUNNING.name})",
            "for": LASTING,
            "labels": {"severity": "warning"},
            "annotations": {"summary": "nobody says how the sources are captured"},
        },
    ]


def slot_alert_rules(way_back: str) -> list[dict[str, Any]]:
    """Those of them that are about slots; `way_back` is what to do about a lost one."""
    kept, cap = SLOT_KEPT.name, SLOT_CAP.name
    return [
        _alert(
            "SlotKeepsWal",
            f"{kept} / {cap} > {HALF:g}",
            "warning",
            f"its slot keeps over {HALF:.0%} of the WAL that it may; beyond that it is lost",
        ),
        _alert(
            "SlotNearItsCap",
            f"{kept} / {cap} > {MOST:g}",
            "critical",
            f"its slot keeps over {MOST:.0%} of the WAL that it may: start the connector, or raise the cap",
        ),
        _alert(
            "SlotLost",
            f"{SLOT_LOST.name} == 1",
            "critical",
            f"its slot is lost, and changes with it: {way_back}",
            lasting="0m",
        ),
    ]


def slot_unwatched(source: str) -> dict[str, Any]:
    """A rule for a source whose slot is watched by a process of its own."""
    return {
        "alert": "SlotUnwatched",
        "expr": f'absent({SLOT_LOST.name}{{source="{source}"}})',
        "for": UNWATCHED,
        "labels": {"severity": "warning", "source": source},
        "annotations": {"summary": f"{source}: nobody says how its slot stands"},
    }


def _alert(name: str, expression: str, severity: str, summary: str, lasting: str = LASTING) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expression,
        "for": lasting,
        "labels": {"severity": severity},
        "annotations": {"summary": f"{{{{ $labels.source }}}}: {summary}"},
    }
