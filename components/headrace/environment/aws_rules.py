"""Facts of the AWS substrate that can't both hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from headrace.environment.parts import Parts, Placed
from headrace.environment.problem import Path, Problem
from headrace.environment.substrates import AwsSubstrate
from headrace.environment.types import SCRIPTED, is_loopback

HTTPS = 443

EXPRESS_ZONES = 3
DEPLOYMENT_MAX_CHARS = 45
"""What the Flink Kubernetes Operator takes as the name of a deployment."""
SHARING_MAX_CHARS = 45
"""Of an environment in a cluster that is there: its name begins those of namespaces and pools, the longest of
which is ``ENVIRONMENT-taskmanagers-spot``. Kubernetes takes 63 characters of each, as they are labels too."""


def express_without_its_zones(parts: Parts) -> Iterator[Problem]:
    """`kafka: express` has its brokers in 3 zones."""
    for aws in _aws(parts):
        if aws.value.kafka == "express" and aws.value.zones < EXPRESS_ZONES:
            yield aws.problem(
                "zones", given=str(aws.value.zones), allowed=f"{EXPRESS_ZONES}, as kafka is `express`"
            )


def vpc_without_its_subnets(parts: Parts) -> Iterator[Problem]:
    """A VPC that is there comes with a private subnet in each of `zones`, and without `cidr`."""
    for aws in _aws(parts):
        network, zones = aws.value.network, aws.value.zones
        subnets = len(network.private_subnet_ids)
        if network.vpc_id and subnets != zones:
            yield aws.problem(
                "network",
                "private_subnet_ids",
                given=f"{subnets} subnets of {network.vpc_id}",
                allowed=f"one for each of substrate.zones, {zones}",
            )
        if network.vpc_id and network.cidr:
            yield aws.problem(
                "network", "cidr", given=network.cidr, allowed=f"left out with vpc_id {network.vpc_id}"
            )
        if not network.vpc_id and subnets:
            yield aws.problem(
                "network",
                "private_subnet_ids",
                given=f"{subnets} subnets of no VPC",
                allowed="with their vpc_id, or left out: a new VPC gets its own",
            )


def cluster_without_its_vpc(parts: Parts) -> Iterator[Problem]:
    """A cluster that is there comes with its VPC, which is there too."""
    for aws in _aws(parts):
        existing, vpc = aws.value.cluster.existing, aws.value.network.vpc_id
        if existing and not vpc:
            yield aws.problem("network", "vpc_id", given="nothing", allowed=f"the VPC of cluster {existing}")


def cluster_with_what_its_owner_says(parts: Parts) -> Iterator[Problem]:
    """Of a cluster that is there its owner says who reaches it and who may look: neither is declared."""
    for aws in _aws(parts):
        existing = aws.value.cluster.existing
        theirs = {
            ("endpoint", "cidrs"): aws.value.endpoint.cidrs,
            ("access", "viewers"): aws.value.access.viewers,
        }
        for path, given in theirs.items():
            if existing and given:
                yield aws.problem(
                    *path, given=str(len(given)), allowed=f"left out with cluster.existing {existing}"
                )


def environment_name_too_long_for_a_shared_cluster(parts: Parts) -> Iterator[Problem]:
    """In a cluster that is there an environment's name has at most 45 characters: it begins pools'."""
    for aws in _aws(parts):
        chars = len(parts.environment)
        if aws.value.cluster.existing and chars > SHARING_MAX_CHARS:
            yield aws.problem(
                "cluster",
                "existing",
                given=f"an environment's name of {chars} characters",
                allowed=f"at most {SHARING_MAX_CHARS}, as it begins the names of pools of nodes there",
            )


def endpoint_access_and_its_cidrs(parts: Parts) -> Iterator[Problem]:
    """A public endpoint names who may reach it, not everybody; a private one names nobody."""
    for aws in _aws(parts):
        access, cidrs = aws.value.endpoint.access, aws.value.endpoint.cidrs
        if access == "public" and not cidrs and not aws.value.cluster.existing:
            yield aws.problem("endpoint", "cidrs", given="0 blocks", allowed="1 or more: access is `public`")
        if access == "private" and cidrs:
            yield aws.problem(
                "endpoint", "cidrs", given=f"{len(cidrs)} blocks", allowed="0: access is `private`"
            )
        for at, cidr in enumerate(cidrs):
            if cidr.endswith("/0"):
                yield aws.problem(
                    "endpoint", "cidrs", at, given=cidr, allowed="a block of your own, not everybody"
                )


def model_of_one_machine_on_aws(parts: Parts) -> Iterator[Problem]:
    """On AWS a model is reached over the network, and its key is no file of this machine."""
    if not list(_aws(parts)):
        return
    for _agent, model in parts.model_endpoints:
        endpoint, key = model.value.endpoint or "", model.value.api_key
        if endpoint == SCRIPTED or is_loopback(urlsplit(endpoint).hostname or ""):
            yield model.problem(
                "endpoint", given=repr(endpoint), allowed="an `https://` URL, as substrate.kind is `aws`"
            )
        if key is not None and key.file is not None:
            yield model.problem(
                "api_key", given="a file", allowed="`{env: NAME}`, as substrate.kind is `aws`"
            )


def traces_to_another_port_on_aws(parts: Parts) -> Iterator[Problem]:
    """On AWS traces go to the stack's collector or to port 443: pods reach no other port outside."""
    tracing = parts.tracing
    if tracing is None or tracing.value.endpoint is None or not list(_aws(parts)):
        return
    if urlsplit(tracing.value.endpoint).port != HTTPS:
        yield tracing.problem(
            "endpoint",
            given=repr(tracing.value.endpoint),
            allowed="`https://HOST:443`, or none, for the stack's collector: substrate.kind is `aws`",
        )


def keys_in_two_variables_on_aws(parts: Parts) -> Iterator[Problem]:
    """On AWS the keys of an agent's models are in one variable: its pods are given one key."""
    if not list(_aws(parts)):
        return
    first: dict[Path, str] = {}
    for agent, model in parts.model_endpoints:
        named = model.value.api_key.env if model.value.api_key else None
        if named is not None and first.setdefault(agent.path, named) != named:
            yield model.problem(
                "api_key",
                "env",
                given="another variable than that of the agent's first key",
                allowed="the same variable, as substrate.kind is `aws`",
            )


def databases_are_the_sources(parts: Parts) -> Iterator[Problem]:
    """On AWS each source has its database under `substrate.databases`, once, and nothing else has."""
    sources = [source.value.name for source in parts.sources]
    for aws in _aws(parts):
        given = [database.source for database in aws.value.databases]
        for at, name in enumerate(given):
            if name in given[:at]:
                yield aws.problem(
                    "databases", at, "source", given=f"{name!r} a second time", allowed="each source once"
                )
            elif parts.every_source and name not in sources:
                yield aws.problem(
                    "databases",
                    at,
                    "source",
                    given=repr(name),
                    allowed=f"a declared source: {', '.join(sources)}",
                )
        for name in sources:
            if name not in given:
                yield aws.problem(
                    "databases", given=f"none for source {name!r}", allowed="one for each source"
                )


def database_secret_of_another_region(parts: Parts) -> Iterator[Problem]:
    """A database's secret and its key are in `substrate.region`, where connectors look them up."""
    for aws in _aws(parts):
        region = aws.value.region
        for at, database in enumerate(aws.value.databases):
            for field in ("secret_arn", "secret_key_arn"):
                there = getattr(database, field).split(":")[3]
                if there != region:
                    yield aws.problem(
                        "databases", at, field, given=f"one of {there}", allowed=f"of region {region}"
                    )


def public_endpoint_without_an_admin(parts: Parts) -> Iterator[Problem]:
    """A public endpoint has an admin: without a runner, somebody has to bring the stack up."""
    for aws in _aws(parts):
        if aws.value.endpoint.access == "public" and not aws.value.access.admins:
            yield aws.problem(
                "access", "admins", given="0 principals", allowed="1 or more: endpoint.access is `public`"
            )


def principal_twice(parts: Parts) -> Iterator[Problem]:
    """A principal is an admin or a viewer, once: EKS has one entry for each."""
    for aws in _aws(parts):
        seen: set[str] = set()
        for role in ("admins", "viewers"):
            for at, principal in enumerate(getattr(aws.value.access, role)):
                if principal in seen:
                    yield aws.problem(
                        "access", role, at, given=f"{principal} a second time", allowed="each once"
                    )
                seen.add(principal)


def agent_name_too_long_for_kubernetes(parts: Parts) -> Iterator[Problem]:
    """On AWS an agent's name has at most 45 characters: Flink makes longer names of pods from it."""
    if not list(_aws(parts)):
        return
    for agent in parts.agents:
        if (chars := len(agent.value.name)) > DEPLOYMENT_MAX_CHARS:
            yield agent.problem(
                "name", given=f"{chars} characters", allowed=f"at most {DEPLOYMENT_MAX_CHARS} on AWS"
            )


def _aws(parts: Parts) -> Iterator[Placed[AwsSubstrate]]:
    if parts.substrate is not None and isinstance(parts.substrate.value, AwsSubstrate):
        yield Placed(parts.substrate.path, parts.substrate.value)


RULES: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    express_without_its_zones,
    vpc_without_its_subnets,
    cluster_without_its_vpc,
    cluster_with_what_its_owner_says,
    environment_name_too_long_for_a_shared_cluster,
    endpoint_access_and_its_cidrs,
    model_of_one_machine_on_aws,
    traces_to_another_port_on_aws,
    keys_in_two_variables_on_aws,
    databases_are_the_sources,
    database_secret_of_another_region,
    public_endpoint_without_an_admin,
    principal_twice,
    agent_name_too_long_for_kubernetes,
)
