"""How long things may take to come back: the times that other subjects build on."""

from __future__ import annotations

from headrace.environment.model import Recovery

HEAL_MS = 90_000
"""A single killed process is back, and its work goes on, within this time."""
POWER_OFF_MS = 72 * 3_600_000
"""A machine that is switched off over a weekend: the outage that a declaration forgets."""


def transaction_timeout_ms(recovery: Recovery) -> int:
    """Timeout of the agents' Kafka transactions.

    A transaction that a checkpoint has prepared must outlive every outage it may be committed
    after: once the broker aborts it, its records are lost. The sink ends what it left open by
    itself at the next start, so a long timeout costs nothing there.
    """
    return max(recovery.max_outage.milliseconds + HEAL_MS, POWER_OFF_MS + HEAL_MS)


def broker_transaction_max_ms(recovery: Recovery) -> int:
    """The broker's ``transaction.max.timeout.ms``: a minute above what the agents ask for."""
    return transaction_timeout_ms(recovery) + 60_000


def outage_text(recovery: Recovery) -> str:
    """How reasons name the time that retries have to cover."""
    return f"max_outage {recovery.max_outage} + {HEAL_MS // 1_000} s to heal"


def retry_ms(recovery: Recovery) -> int:
    """How long retries have to go on."""
    return recovery.max_outage.milliseconds + HEAL_MS
