"""What may differ between substrates of what Flink and its jobs are told: places, sizes, one substrate's own.

The one list of it: tests compare substrates by it, and start on this machine what AWS is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

OF_THE_PLACE = re.compile(
    # Who leads, and where things are.
    r"high-availability\..*|rest\..*|s3\..*|blob\.server\.port|(job|task)manager\.(rpc|bind|host)[a-z.-]*|"
    r"taskmanager\.data\.port|metrics\.reporter\.prom\.port"
)
OF_A_SIZE = re.compile(
    # A deployment has one agent, the local cluster all of them.
    r"(job|task)manager\.memory\..*|taskmanager\.numberOfTaskSlots|slotmanager\..*|"
    r"execution\.(state-recovery\.from-local|checkpointing\.local-backup\.enabled)"
)
OF_KUBERNETES = re.compile(r"kubernetes\..*|job\.autoscaler\..*")
"""And of its operator."""

OF_THE_BUCKETS = frozenset(
    {
        "execution.checkpointing.dir",
        "execution.checkpointing.savepoint-dir",
        "high-availability.storageDir",
    }
)
OF_THE_IMAGE = frozenset({"io.tmp.dirs", "python.client.executable", "python.executable"})
OF_THIS_MACHINE = frozenset({"python.pythonpath", "env.java.opts.all", "taskmanager.resource-id"})
"""Names of processes; and Java's opened modules, which the operator knows for each version of Flink."""

OF_JOBS = frozenset(
    {
        # Brokers and how they are logged in to, where state is, where the model's key is, which code runs.
        "kafka.bootstrap_servers",
        "kafka.client_properties.security.protocol",
        "kafka.client_properties.sasl.mechanism",
        "kafka.client_properties.sasl.jaas.config",
        "kafka.client_properties.sasl.client.callback.handler.class",
        "journal.client_properties.security.protocol",
        "journal.client_properties.sasl.mechanism",
        "journal.client_properties.sasl.oauthbearer.config",
        *(f"flink_configuration.{option}" for option in OF_THE_BUCKETS),
        "model.api_key_file",
        # Where traces go: no collector is here.
        "tracing.endpoint",
        "code",
    }
)
"""Fields of a job's specification."""


def is_of_a_substrate(option: str) -> bool:
    return any(found.fullmatch(option) for found in (OF_THE_PLACE, OF_A_SIZE, OF_KUBERNETES))


def different(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Options that only one has, or that differ, though no substrate has a reason for it."""
    keys = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    return sorted(key for key in keys if not is_of_a_substrate(key))
