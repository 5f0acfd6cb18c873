"""What is written down of an agent's upgrades, in its namespace: the next `up` finds it, whoever runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from headrace.provider.aws.agents.cluster import Cluster
from headrace.upgrades.record import History, Upgrade, read_upgrades

LABEL, KEY = "headrace.dev/upgrades-of", "upgrade.json"
MOST_BYTES = 900_000
"""Of what is written down of one: a ConfigMap holds 1 MiB."""
MOST_CHARACTERS = 300
"""Of an event that is listed as not in memory."""


class ConfigMapHistory(History):
    """A ConfigMap for each upgrade."""

    def __init__(self, cluster: Cluster, agent: str) -> None:
        self._cluster = cluster
        self._labels = {LABEL: agent}

    def _write(self, upgrade: Upgrade) -> None:
        # An id is a name with a time, of which a name of Kubernetes takes the letter small.
        document = _shortened(upgrade).model_dump_json()
        self._cluster.write_config_map(_name(upgrade), self._labels, {KEY: document})

    def _remove(self, upgrade: Upgrade) -> None:
        self._cluster.remove_config_map(_name(upgrade))

    def _documents(self) -> Iterator[str]:
        return _documents(self._cluster, self._labels)


def upgrades_in(cluster: Cluster, agent: str | None) -> list[Upgrade]:
    """Of one agent, or of all that the namespace knows of, also of those that are gone; the oldest first."""
    return read_upgrades(_documents(cluster, {LABEL: agent}))


def _documents(cluster: Cluster, labels: Mapping[str, str | None]) -> Iterator[str]:
    for found in cluster.config_maps(labels):
        yield (found.get("data") or {}).get(KEY, "")


def _name(upgrade: Upgrade) -> str:
    return f"upgrade-{upgrade.id}".lower()


def _shortened(upgrade: Upgrade) -> Upgrade:
    """With as many of the events that are not in memory as there is room for; of a reason its begin."""
    undone = upgrade.caught_up
    if undone is None:
        return upgrade
    listed, room = list[str](), MOST_BYTES - len(_listing(upgrade, ()).model_dump_json())
    for event in undone.not_in_memory:
        short = event[:MOST_CHARACTERS]
        # JSON may write six characters for one, and Kubernetes counts bytes.
        room -= len(json.dumps(short)) + 1
        if room < 0:
            listed.append(f"{len(undone.not_in_memory) - len(listed)} more are not listed")
            break
        listed.append(short)
    return _listing(upgrade, tuple(listed))


def _listing(upgrade: Upgrade, events: tuple[str, ...]) -> Upgrade:
    undone = upgrade.caught_up
    update = {} if undone is None else {"caught_up": undone.model_copy(update={"not_in_memory": events})}
    return upgrade.model_copy(update=update)
