"""What is written down of an agent's upgrades, in its namespace: the next `up` finds it, whoever runs it."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.provider.aws.agents.cluster import Cluster
from headrace.upgrades.record import History, Upgrade

LABEL, KEY = "headrace.dev/upgrades-of", "upgrade.json"
KEPT = 20
"""Upgrades of one agent, the newest."""
MOST_EVENTS = 5000
"""Listed as not in memory: a ConfigMap holds 1 MiB."""


class ConfigMapHistory(History):
    """A ConfigMap for each upgrade."""

    def __init__(self, cluster: Cluster, agent: str) -> None:
        self._cluster, self._labels = cluster, {LABEL: agent}

    def write(self, upgrade: Upgrade) -> None:
        # An id is a name with a time, of which a name of Kubernetes takes the letter small.
        document = _shortened(upgrade).model_dump_json()
        self._cluster.write_config_map(_name(upgrade), self._labels, {KEY: document})
        if upgrade.phase == "ended":
            for old in self.all()[:-KEPT]:
                self._cluster.remove_config_map(_name(old))

    def _documents(self) -> Iterator[str]:
        for found in self._cluster.config_maps(self._labels):
            yield (found.get("data") or {}).get(KEY, "")


def _name(upgrade: Upgrade) -> str:
    return f"upgrade-{upgrade.id}".lower()


def _shortened(upgrade: Upgrade) -> Upgrade:
    undone = upgrade.caught_up
    if undone is None or len(undone.not_in_memory) <= MOST_EVENTS:
        return upgrade
    more = f"{len(undone.not_in_memory) - MOST_EVENTS} more are not listed"
    listed = undone.model_copy(update={"not_in_memory": (*undone.not_in_memory[:MOST_EVENTS], more)})
    return upgrade.model_copy(update={"caught_up": listed})
