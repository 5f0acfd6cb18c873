"""Upgrades of a stack's agents, as they were written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headrace.errors import HeadraceError
from headrace.operations.stack import Stack
from headrace.plan import AwsPlan
from headrace.provider.aws.agents.cluster import Cluster
from headrace.provider.aws.agents.history import upgrades_in
from headrace.upgrades.record import FolderHistory, Upgrade


def upgrades(stack: Stack, kubeconfig: Path | None, agent: str | None = None) -> list[Upgrade]:
    """Of one agent or of all, agents that are gone among them; the newest first.

    Args:
        stack: on whatever substrate.
        kubeconfig: file with the way to the cluster of a stack on AWS; not looked at otherwise.
        agent: None for all.

    Raises:
        HeadraceError: the cluster is not named, or can't be asked.
    """
    plan = stack.any_plan
    found = _in_cluster(plan, kubeconfig, agent) if isinstance(plan, AwsPlan) else _in_folders(stack, agent)
    return sorted(found, key=lambda each: each.started_at_ms, reverse=True)


def _in_folders(stack: Stack, agent: str | None) -> list[Upgrade]:
    folder = stack.files.upgrades("*").parent
    names = [agent] if agent else [each.name for each in folder.iterdir()] if folder.exists() else []
    return [each for name in names for each in FolderHistory(stack.files.upgrades(name)).all()]


def _in_cluster(plan: AwsPlan, kubeconfig: Path | None, agent: str | None) -> list[Upgrade]:
    if kubeconfig is None:
        raise HeadraceError(
            f"stack {plan.environment} is on AWS: name the way to its cluster by --kubeconfig FILE or"
            " KUBECONFIG; the stack's output `kubeconfigs` has one for each role"
        )
    try:
        text = kubeconfig.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HeadraceError(f"--kubeconfig {kubeconfig}: {error}; allowed: one file") from error
    return upgrades_in(Cluster(text, plan.cluster.agents_namespace.name), agent)


def upgrade(stack: Stack, kubeconfig: Path | None, id_: str) -> Upgrade:
    """Of that id, or the newest of the agent of that name.

    Raises:
        HeadraceError: there is none; or as :func:`upgrades` does.
    """
    found = upgrades(stack, kubeconfig)
    for each in found:
        if id_ in (each.id, each.agent):
            return each
    known = ", ".join(each.id for each in found[:5]) or "none was made yet"
    raise HeadraceError(f"no upgrade {id_}; the newest: {known}")


def shown(found: Upgrade) -> dict[str, Any]:
    """As JSON, without what the versions' jobs are made of."""
    return found.model_dump(mode="json", exclude={"before": {"inputs"}, "after": {"inputs"}})
