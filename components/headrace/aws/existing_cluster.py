"""A cluster that is there: looked up, and refused where what a stack needs of it is not so.

Nothing of it is changed, so what is refused here is for its owner to change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from headrace.aws.cluster_facts import ClusterFacts
from headrace.aws.network_policies import ENFORCED, SETTINGS, SPACE
from headrace.errors import HeadraceError
from headrace.plan.aws.model import ClusterPlan

KUBERNETES_LEAST = (1, 30)
"""From it on a pod's end may wait by ``preStop.sleep`` (Kubernetes, feature gate PodLifecycleSleepAction);
Auto Mode itself is there from 1.29 on."""
READY = ("ACTIVE", "UPDATING")
WITH_ENTRIES = ("API", "API_AND_CONFIG_MAP")
"""Modes of authentication in which a cluster has access entries."""


def existing_cluster(
    plan: ClusterPlan, vpc_id: pulumi.Input[str], opts: pulumi.InvokeOutputOptions
) -> ClusterFacts:
    """The plan's cluster, as EKS has it; all that is said of it depends on it being fit.

    An update or a preview fails with all that does not fit (HeadraceError): an old version of Kubernetes, no
    Auto Mode, no access entries, another VPC, an endpoint that is not open to where it is to be reached from,
    no addresses of IPv4.
    """
    described = aws.eks.get_cluster_output(name=str(plan.existing), opts=opts)
    found = pulumi.Output.all(described, vpc_id).apply(lambda known: _fit(plan, *known))
    return ClusterFacts(
        name=found.apply(lambda it: str(it.name)),
        arn=found.apply(lambda it: str(it.arn)),
        endpoint=found.apply(lambda it: str(it.endpoint)),
        authority=found.apply(lambda it: str(it.certificate_authorities[0].data)),
        security_group_id=found.apply(lambda it: str(it.vpc_config.cluster_security_group_id)),
        service_cidr=found.apply(lambda it: str(it.kubernetes_network_configs[0].service_ipv4_cidr)),
    )


def refuse_unenforced_policies(
    name: str, cluster: pulumi.Output[str], opts: pulumi.ResourceOptions
) -> pulumi.Output[None]:
    """Reads whether Auto Mode enforces network policies there: a stack's are nothing without it.

    An update or a preview that reaches the API fails where it does not (HeadraceError).
    """
    settings = k8s.core.v1.ConfigMap.get(name, f"{SPACE}/{SETTINGS}", opts=opts)
    return pulumi.Output.all(cluster, settings.data).apply(lambda known: _refuse_unenforced(*known))


def _fit(plan: ClusterPlan, found: Any, vpc_id: str) -> Any:
    if problems := [f"cluster {plan.existing}: {problem}" for problem in _problems(plan, found, vpc_id)]:
        raise HeadraceError("\n".join(problems))
    return found


def _problems(plan: ClusterPlan, found: Any, vpc_id: str) -> Iterator[str]:
    place = found.vpc_config
    if found.status not in READY:
        yield f"given one that is {found.status}; allowed: {' or '.join(READY)}"
    if tuple(map(int, found.version.split("."))) < KUBERNETES_LEAST:
        least = ".".join(map(str, KUBERNETES_LEAST))
        yield f"given Kubernetes {found.version}; allowed: {least} or later, for pods that end in order"
    if not any(each.enabled for each in found.compute_configs):
        yield (
            "given one without EKS Auto Mode; allowed: with it, as it runs the nodes of the stack's pools "
            "and gives pods their roles"
        )
    modes = [each.authentication_mode for each in found.access_configs]
    if not set(modes) & set(WITH_ENTRIES):
        yield (
            f"given authentication by {', '.join(modes)}; allowed: {' or '.join(WITH_ENTRIES)}, as nodes and "
            "the runner get in by access entries"
        )
    if place.vpc_id != vpc_id:
        yield f"given one in {place.vpc_id}; allowed: one in {vpc_id}, the network's, where the brokers are"
    if plan.endpoint_private and not place.endpoint_private_access:
        yield "given no private endpoint; allowed: one, as the runner reaches it from within the VPC"
    if not plan.endpoint_private and not place.endpoint_public_access:
        yield "given no public endpoint; allowed: one, as substrate.endpoint.access is `public`"
    if not any(each.service_ipv4_cidr for each in found.kubernetes_network_configs):
        yield "given services without IPv4; allowed: with it, as network policies name its blocks"


def _refuse_unenforced(cluster: str, data: Any) -> None:
    # A preview that does not reach the API has read nothing.
    if data is None and pulumi.runtime.is_dry_run():
        return
    if not ENFORCED.items() <= dict(data or {}).items():
        raise HeadraceError(
            f"cluster {cluster}: given network policies that are not enforced; allowed: "
            + ", ".join(f"{key}: {value}" for key, value in ENFORCED.items())
            + f" in ConfigMap {SPACE}/{SETTINGS}"
        )
