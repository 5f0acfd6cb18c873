"""Buckets of a stack's state: checkpoints, savepoints, high availability; and of its artifacts and logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from headrace.aws.bucket import BucketRules, SecureBucket, access_log_bucket
from headrace.aws.encryption import key, shared_with
from headrace.aws.iam import account_of
from headrace.aws.tags import Tags
from headrace.errors import HeadraceError
from headrace.plan.model import BucketPlan
from headrace.plan.state_storage import CHECKPOINTS, HIGH_AVAILABILITY, SAVEPOINTS, UPLOAD_DAYS

STATE = frozenset({CHECKPOINTS, SAVEPOINTS, HIGH_AVAILABILITY})
ARTIFACTS, ACCESS_LOGS = "artifacts", "access-logs"


@dataclass(frozen=True, kw_only=True)
class CheckpointStorageArgs:
    """What is stored, and whether it may go.

    Raises:
        HeadraceError: a bucket is missing or unknown, or objects of Flink's state would go by age.
    """

    buckets: Sequence[BucketPlan]
    """The plan's: one for each of checkpoints, savepoints and high availability."""
    protect: bool
    """Whether the engine refuses to delete them. Without it, deleting the stack deletes what is in them."""
    access_log_days: int
    """How long it is kept who read and wrote."""
    tags: Tags
    deployers: Sequence[pulumi.Input[str]] = ()
    """ARNs of principals that bring artifacts, and so use the key: no policy of theirs can name it before."""

    def __post_init__(self) -> None:
        given = sorted(bucket.name for bucket in self.buckets)
        if given != sorted(STATE):
            raise HeadraceError(
                f"state storage: given buckets {', '.join(given) or 'none'}; "
                f"allowed: {', '.join(sorted(STATE))}, one each"
            )
        for bucket in self.buckets:
            if bucket.expire_objects_days is not None:
                raise HeadraceError(
                    f"state storage, bucket {bucket.name}: given objects that expire after "
                    f"{bucket.expire_objects_days} days; allowed: never, as a live checkpoint may refer to "
                    "files of any age"
                )


class CheckpointStorage(pulumi.ComponentResource):
    """Encrypted buckets that only TLS reaches and nobody outside, with a log of who did.

    With ``protect`` they go in two steps: the declaration without it, and ``up``; then ``destroy``.

    >>> storage = CheckpointStorage(
    ...     "prod",
    ...     CheckpointStorageArgs(
    ...         buckets=plan.state_storage.buckets,
    ...         protect=True,
    ...         access_log_days=90,
    ...         tags=Tags(environment="prod", owner="data", cost_centre="4711"),
    ...     ),
    ... )  # doctest: +SKIP
    """

    key_arn: pulumi.Output[str]
    bucket_names: dict[str, pulumi.Output[str]]
    """By what is in them: ``checkpoints``, ``savepoints``, ``high-availability``, ``artifacts``."""
    bucket_arns: dict[str, pulumi.Output[str]]

    def __init__(
        self, name: str, args: CheckpointStorageArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("headrace:aws:CheckpointStorage", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        # Without its key what is in the buckets can't be read: it is as much data as they are.
        state = key(
            f"{name}-state",
            f"State of the Flink jobs of {args.tags.environment}",
            args.tags,
            pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        if args.deployers:
            shared_with(f"{name}-state", state, args.deployers, child)
        logs = access_log_bucket(
            f"{name}-{ACCESS_LOGS}",
            account_of(state.arn),
            args.access_log_days,
            args.tags,
            child,
            protect=args.protect,
        )
        made = {
            bucket.name: SecureBucket(
                f"{name}-{bucket.name}",
                # No versions: Flink removes what it no longer needs, and an erased key must be gone.
                BucketRules(
                    key_arn=state.arn,
                    abort_uploads_days=bucket.abort_uploads_days,
                    access_logs=logs,
                    protect=args.protect,
                    tags=args.tags,
                ),
                child,
            )
            for bucket in args.buckets
        }
        made[ARTIFACTS] = SecureBucket(
            f"{name}-{ARTIFACTS}",
            BucketRules(
                key_arn=state.arn,
                abort_uploads_days=UPLOAD_DAYS,
                access_logs=logs,
                versioned=True,
                protect=args.protect,
                tags=args.tags,
            ),
            child,
        )
        self.key_arn = state.arn
        self.bucket_names = {each: bucket.bucket.bucket for each, bucket in made.items()}
        self.bucket_arns = {each: bucket.bucket.arn for each, bucket in made.items()}
        self.register_outputs(
            {"key_arn": self.key_arn, "bucket_names": self.bucket_names, "bucket_arns": self.bucket_arns}
        )
