"""How long things may take to come back: the times that other subjects build on."""

from __future__ import annotations

from headrace.environment.model import Recovery
from headrace.environment.units import DAY_MS, MINUTE_MS

POWER_OFF_MS = 3 * DAY_MS
"""A machine that is switched off over a weekend: the outage that a declaration forgets."""
MARGIN_MS = MINUTE_MS
"""By which the one who waits for another is the more patient."""


def transaction_timeout_ms(recovery: Recovery) -> int:
    """Timeout of the agents' Kafka transactions.

    A transaction that a checkpoint has prepared must outlive every outage it may be committed
    after: once the broker aborts it, its records are lost. The sink ends what it left open by
    itself at the next start, so a long timeout costs nothing there.
    """
    return max(recovery.max_outage.milliseconds, POWER_OFF_MS) + recovery.max_recovery.milliseconds


def broker_transaction_max_ms(recovery: Recovery) -> int:
    """The broker's ``transaction.max.timeout.ms``: a little above what the agents ask for."""
    return transaction_timeout_ms(recovery) + MARGIN_MS


def outage_text(recovery: Recovery) -> str:
    """How reasons name the time that retries have to cover."""
    return f"max_outage {recovery.max_outage} + max_recovery {recovery.max_recovery}"


def retry_ms(recovery: Recovery) -> int:
    """How long retries have to go on."""
    return recovery.max_outage.milliseconds + recovery.max_recovery.milliseconds
