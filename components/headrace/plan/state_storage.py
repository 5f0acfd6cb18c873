"""The buckets of a stack's state, their life cycle, and how long savepoints are kept."""

from __future__ import annotations

from headrace.environment.model import Savepoints
from headrace.plan.because import Because, because, build, sequence
from headrace.plan.model import BucketPlan, StateStoragePlan
from headrace.plan.savepoints import savepoints

CHECKPOINTS, SAVEPOINTS, HIGH_AVAILABILITY = "checkpoints", "savepoints", "high-availability"
UPLOAD_DAYS = 1


def state_storage(declared: Savepoints) -> Because[StateStoragePlan]:
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
        savepoints=savepoints(declared),
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
