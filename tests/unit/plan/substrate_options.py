"""Options of Flink that may differ between substrates: addresses, sizes, and what only one of them has."""

from __future__ import annotations

import re
from collections.abc import Mapping

OF_A_SUBSTRATE = re.compile(
    # Who leads, and where things are.
    r"high-availability\..*|rest\..*|s3\..*|blob\.server\.port|(job|task)manager\.(rpc|bind|host)[a-z.-]*|"
    r"taskmanager\.data\.port|metrics\.reporter\.prom\.port|"
    # Sizes: a deployment has one agent, the local cluster all of them.
    r"(job|task)manager\.memory\..*|taskmanager\.numberOfTaskSlots|slotmanager\..*|"
    r"execution\.(state-recovery\.from-local|checkpointing\.local-backup\.enabled)|"
    # Kubernetes and its operator.
    r"kubernetes\..*|job\.autoscaler\..*"
)


def different(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Options that only one has, or that differ, though no substrate has a reason for it."""
    keys = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    return sorted(key for key in keys if not OF_A_SUBSTRATE.fullmatch(key))
