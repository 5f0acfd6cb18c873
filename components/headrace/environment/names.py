"""Names that follow from declared names.

They stand beside the declaration, not in the plan, because a declaration is refused when two of
them collide or when one is too long for PostgreSQL or Kafka.
"""

from __future__ import annotations

import hashlib

NAME = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
"""Fit for topics, consumer groups, Flink job names and, with ``_`` for ``-``, replication slots."""
TABLE = r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*"
COLUMN = r"[a-z_][a-z0-9_]*"

SLOT_PREFIX = "headrace_"
SERVER_IDS_FROM = 2**31
"""Ids that people give to servers are small."""


def role(environment: str, source: str) -> str:
    """The role that captures a source."""
    return f"{SLOT_PREFIX}{environment}_{source}".replace("-", "_")


def slot(environment: str, source: str) -> str:
    """Replication slot of a source; its role and its publication have the same name."""
    return role(environment, source)


def server_id(environment: str, source: str) -> int:
    """By which a MySQL or MariaDB server knows the source's connector among its replicas.

    The same for ever, and two of one server's hardly meet: one of 2^31, by the names' SHA-256.
    """
    digest = hashlib.sha256(f"{environment}/{source}".encode()).digest()
    return SERVER_IDS_FROM + int.from_bytes(digest[:4], "big") % (SERVER_IDS_FROM - 1)


def connector(environment: str, source: str) -> str:
    return f"{environment}-{source}"


def table_topic(source: str, table: str) -> str:
    """Topic of a captured table, as Debezium names it: ``prefix.schema.table``."""
    return f"{source}.{table}"


def heartbeat_topic(source: str) -> str:
    """Topic of a connector's heartbeats, as Debezium names it."""
    return f"__debezium-heartbeat.{source}"


def signals_topic(source: str) -> str:
    """Topic of what a source's connector is told."""
    return f"{source}.signals"


def notifications_topic(source: str) -> str:
    """Topic of what a source's connector says of its snapshots."""
    return f"{source}.notifications"


def signals_group(environment: str, source: str) -> str:
    """Consumer group by which a connector knows how far it has read its signals."""
    return f"headrace-{environment}-{source}-signals"


def schema_history_topic(source: str) -> str:
    """Topic of how a source's tables looked, by place in its binlog."""
    return f"{source}.schema-history"


def schema_history_group(environment: str, source: str) -> str:
    """Consumer group by which a connector reads that topic."""
    return f"headrace-{environment}-{source}-schema-history"


def source_topics(source: str) -> tuple[str, ...]:
    """Of a source as a whole; captured tables have topics of their own."""
    return signals_topic(source), notifications_topic(source), schema_history_topic(source)


def decisions_topic(agent: str) -> str:
    return f"{agent}.decisions"


def outcomes_topic(agent: str) -> str:
    return f"{agent}.outcomes"


def dead_letters_topic(agent: str) -> str:
    return f"{agent}.dead-letters"


def reviews_topic(agent: str) -> str:
    return f"{agent}.reviews"


def reports_topic(agent: str) -> str:
    return f"{agent}.reports"


def runs_topic(agent: str) -> str:
    return f"{agent}.runs"


def answers_topic(agent: str) -> str:
    return f"{agent}.answers"


def replays_topic(agent: str) -> str:
    return f"{agent}.replays"


def control_topic(agent: str) -> str:
    return f"{agent}.control"


def journal_topic(agent: str) -> str:
    return f"{agent}.journal"


def budgets_topic(agent: str) -> str:
    return f"{agent}.budgets"


def costs_topic(agent: str) -> str:
    return f"{agent}.costs"


def settings_topic(agent: str) -> str:
    return f"{agent}.settings"


def agent_topics(agent: str) -> tuple[str, ...]:
    return tuple(
        topic(agent)
        for topic in (
            decisions_topic,
            outcomes_topic,
            dead_letters_topic,
            reviews_topic,
            reports_topic,
            runs_topic,
            answers_topic,
            replays_topic,
            control_topic,
            journal_topic,
            budgets_topic,
            costs_topic,
            settings_topic,
        )
    )
