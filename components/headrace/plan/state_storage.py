"""The buckets of a stack's state, their life cycle, and how long savepoints are kept."""

from __future__ import annotations

from headrace.environment.units import DAY_MS
from headrace.plan.because import Because, because, build, sequence
from headrace.plan.model import BucketPlan, SavepointPlan, StateStoragePlan

CHECKPOINTS, SAVEPOINTS, HIGH_AVAILABILITY = "checkpoints", "savepoints", "high-availability"
UPLOAD_DAYS = 1
SAVEPOINTS_KEPT, SAVEPOINT_DAYS = 10, 30
SAVEPOINT_EVERY_DAYS = 1


def state_storage() -> Because[StateStoragePlan]:
    """What may expire by itself: nothing but uploads that were never finished."""
    return build(
        StateStoragePlan,
        buckets=sequence(
            (
                _bucket(
                    CHECKPOINTS,
                    "an incremental checkpoint is made of files of any age: 0 of them may go while a "
                    "retained checkpoint refers to them, and age does not tell",
                ),
                _bucket(
                    SAVEPOINTS,
                    "a savepoint is what an upgrade or a person goes back to: 0 go by age alone, the "
                    "history's own count and age decide",
                ),
                _bucket(
                    HIGH_AVAILABILITY,
                    "without its 1 pointer to the newest checkpoint a job starts from nothing",
                ),
            )
        ),
        savepoints=build(
            SavepointPlan,
            every_ms=because(
                SAVEPOINT_EVERY_DAYS * DAY_MS, f"every {SAVEPOINT_EVERY_DAYS} day: a place to go back to"
            ),
            kept=because(SAVEPOINTS_KEPT, f"the newest {SAVEPOINTS_KEPT} stay whatever their age"),
            kept_ms=because(
                SAVEPOINT_DAYS * DAY_MS,
                f"{SAVEPOINT_DAYS} days: an older one goes when {SAVEPOINTS_KEPT} newer ones are there",
            ),
        ),
    )


def _bucket(name: str, why_it_stays: str) -> Because[BucketPlan]:
    return build(
        BucketPlan,
        name=because(name, f"what is in it: {name}; 1 bucket each, so that rights and rules differ"),
        expire_objects_days=because(None, why_it_stays),
        abort_uploads_days=because(
            UPLOAD_DAYS, f"{UPLOAD_DAYS} day: an upload that was not finished by then never is, and costs"
        ),
    )
