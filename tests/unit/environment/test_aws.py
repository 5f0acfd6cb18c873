"""The AWS substrate of a declaration: its defaults, and what can't both hold."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.environment import DeclarationError, rules
from headrace.environment.problem import dotted
from headrace.errors import HeadraceError
from tests.unit.environment.declarations import AWS, database, on_aws, parsed, shipped

VPC = "vpc-0123456789abcdef0"
PUBLIC = {"access": "public", "cidrs": ["198.51.100.0/24"]}
DEPLOYER = "arn:aws:iam::111122223333:role/deployer"
ELSEWHERE = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:support-AbCdEf"
SUBNETS = [f"subnet-0123456789abcdef{at}" for at in range(3)]
NETWORK: dict[str, Any] = {"vpc_id": VPC, "private_subnet_ids": SUBNETS}
SHARED = {"existing": "shared"}


def test_defaults_are_safe() -> None:
    aws = parsed(on_aws()).aws
    assert (aws.endpoint.access, aws.protect, aws.spot, aws.zones) == ("private", True, False, 3)
    assert (aws.kafka, aws.network.nat) == ("express", "per-zone")
    assert (aws.model_keys, aws.alarm_emails, aws.databases[0].port) == ("model-keys", (), None)


def test_a_vpc_that_is_there_is_taken() -> None:
    aws = parsed(on_aws(network={"vpc_id": VPC, "private_subnet_ids": SUBNETS})).aws
    assert aws.network.private_subnet_ids == tuple(SUBNETS)


def test_a_cluster_that_is_there_is_taken_with_the_endpoint_that_it_has() -> None:
    for access in ("private", "public"):
        aws = parsed(on_aws(cluster=SHARED, network=NETWORK, endpoint={"access": access})).aws
        assert (aws.cluster.existing, aws.endpoint.access, aws.endpoint.cidrs) == ("shared", access, ())


def test_in_a_cluster_that_is_there_an_environments_name_leaves_room_for_those_of_pools() -> None:
    def problems(cluster: dict[str, str], chars: int) -> dict[str, tuple[str, str]]:
        found = rules.problems(on_aws(cluster=cluster, network=NETWORK), "a" * chars)
        return {dotted(each.path): (each.given, each.allowed) for each in found}

    given, allowed = problems(SHARED, 46)["substrate.cluster.existing"]
    assert "name of 46 characters" in given
    assert "at most 45" in allowed
    for cluster, chars in (SHARED, 45), ({}, 46):
        assert "substrate.cluster.existing" not in problems(cluster, chars)


def test_a_backfill_is_refused_as_nothing_sends_signals_there() -> None:
    declaration = on_aws()
    declaration["sources"][0]["backfills"] = [{"id": "again", "tables": ["public.customers"]}]
    (problem,) = rules.problems(declaration, "prod")
    assert dotted(problem.path) == "sources[0].backfills"
    assert "substrate.kind is `aws`" in problem.allowed


def with_model(**model: Any) -> dict[str, Any]:
    declaration = on_aws()
    declaration["agents"][0]["model"] |= model
    return declaration


def long_named() -> dict[str, Any]:
    declaration = on_aws()
    declaration["agents"][0]["name"] = "a" * 46
    return declaration


REFUSED: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "no region": (
        shipped() | {"substrate": {"kind": "aws"}},
        "substrate.region",
        "nothing",
        "`eu-central-1`",
    ),
    "no kind": (shipped() | {"substrate": {"region": "x"}}, "substrate.kind", "nothing", "`local` or `aws`"),
    "a field of the other kind": (
        on_aws(port_base=17000),
        "substrate.port_base",
        "an unknown field",
        "kind, region, zones",
    ),
    "one zone": (on_aws(zones=1), "substrate.zones", "1", "2 or 3"),
    "express in 2 zones": (on_aws(zones=2), "substrate.zones", "2", "3, as kafka is `express`"),
    "too few subnets": (
        on_aws(network={"vpc_id": VPC, "private_subnet_ids": SUBNETS[:2]}),
        "substrate.network.private_subnet_ids",
        f"2 subnets of {VPC}",
        "one for each of substrate.zones, 3",
    ),
    "subnets of no VPC": (
        on_aws(network={"private_subnet_ids": SUBNETS}),
        "substrate.network.private_subnet_ids",
        "3 subnets of no VPC",
        "with their vpc_id",
    ),
    "addresses for a VPC that is there": (
        on_aws(network={"vpc_id": VPC, "private_subnet_ids": SUBNETS, "cidr": "10.0.0.0/16"}),
        "substrate.network.cidr",
        "10.0.0.0/16",
        f"left out with vpc_id {VPC}",
    ),
    "a cluster that is there in a VPC that is not": (
        on_aws(cluster=SHARED),
        "substrate.network.vpc_id",
        "nothing",
        "the VPC of cluster shared",
    ),
    "blocks for the endpoint of a cluster that is there": (
        on_aws(cluster=SHARED, network=NETWORK, endpoint=PUBLIC),
        "substrate.endpoint.cidrs",
        "1",
        "left out with cluster.existing shared",
    ),
    "viewers of a cluster that is there": (
        on_aws(cluster=SHARED, network=NETWORK, access={"viewers": [DEPLOYER]}),
        "substrate.access.viewers",
        "1",
        "left out with cluster.existing shared",
    ),
    "a cluster by its ARN": (
        on_aws(cluster={"existing": "arn:aws:eks:eu-central-1:111122223333:cluster/a"}, network=NETWORK),
        "substrate.cluster.existing",
        "arn:aws:eks",
        "a cluster's name",
    ),
    "a public endpoint for nobody": (
        on_aws(endpoint={"access": "public"}),
        "substrate.endpoint.cidrs",
        "0 blocks",
        "access is `public`",
    ),
    "a public endpoint for everybody": (
        on_aws(endpoint={"access": "public", "cidrs": ["0.0.0.0/0"]}),
        "substrate.endpoint.cidrs[0]",
        "0.0.0.0/0",
        "a block of your own",
    ),
    "a private endpoint for somebody": (
        on_aws(endpoint={"cidrs": ["198.51.100.0/24"]}),
        "substrate.endpoint.cidrs",
        "1 blocks",
        "access is `private`",
    ),
    "a source without a database": (
        on_aws(databases=[]),
        "substrate.databases",
        "none for source 'support'",
        "one for each source",
    ),
    "a database of no source": (
        on_aws(databases=[database("support"), database("billing")]),
        "substrate.databases[1].source",
        "'billing'",
        "a declared source: support",
    ),
    "two databases of a source": (
        on_aws(databases=[database("support"), database("support")]),
        "substrate.databases[1].source",
        "'support' a second time",
        "each source once",
    ),
    "a secret elsewhere": (
        on_aws(databases=[database("support") | {"secret_arn": ELSEWHERE}]),
        "substrate.databases[0].secret_arn",
        "one of eu-west-1",
        "of region eu-central-1",
    ),
    "what may be the password itself": (
        on_aws(databases=[database("support") | {"secret_arn": "hunter2"}]),
        "substrate.databases[0].secret_arn",
        "a value that is not shown",
        "arn:aws:secretsmanager:",
    ),
    "a public endpoint that nobody administers": (
        on_aws(endpoint=PUBLIC, access={}),
        "substrate.access.admins",
        "0 principals",
        "1 or more",
    ),
    "a principal twice": (
        on_aws(access={"admins": [DEPLOYER], "viewers": [DEPLOYER]}),
        "substrate.access.viewers[0]",
        f"{DEPLOYER} a second time",
        "each once",
    ),
    "an image by its tag": (
        on_aws(collector_image="registry.example/collector:latest"),
        "substrate.collector_image",
        "latest",
        "sha256:",
    ),
    "a chart by another way": (
        on_aws(operator=AWS["operator"] | {"chart": "http://charts.example/a.tgz"}),
        "substrate.operator.chart",
        "http://",
        "without a login",
    ),
    "a name that Kubernetes cuts": (
        long_named(),
        "agents[0].name",
        "46 characters",
        "at most 45 on AWS",
    ),
    "the scripted model": (
        with_model(endpoint="scripted", api_key=None),
        "agents[0].model.endpoint",
        "'scripted'",
        "substrate.kind is `aws`",
    ),
    "a model on this machine": (
        with_model(endpoint="http://localhost:1234"),
        "agents[0].model.endpoint",
        "localhost",
        "an `https://` URL",
    ),
    "traces to a port that pods do not reach": (
        on_aws() | {"tracing": {"endpoint": "https://traces.example:4317"}},
        "tracing.endpoint",
        "traces.example:4317",
        "`https://HOST:443`, or none",
    ),
    "a scripted fallback": (
        with_model(fallbacks=[{"endpoint": "scripted", "name": "s"}]),
        "agents[0].model.fallbacks[0].endpoint",
        "'scripted'",
        "substrate.kind is `aws`",
    ),
    "a fallback with a key of its own": (
        with_model(
            fallbacks=[{"endpoint": "https://b.example/v1", "name": "b", "api_key": {"env": "ANOTHER"}}]
        ),
        "agents[0].model.fallbacks[0].api_key.env",
        "another variable",
        "the same variable",
    ),
    "a key in a file": (
        with_model(api_key={"file": "/run/key"}),
        "agents[0].model.api_key",
        "a file",
        "`{env: NAME}`",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_is_refused_at_its_path(kind: str) -> None:
    declaration, path, given, allowed = REFUSED[kind]
    with pytest.raises(DeclarationError) as caught:
        parsed(declaration)
    found = {dotted(problem.path): problem for problem in caught.value.problems}
    assert path in found
    assert given in found[path].given
    assert allowed in found[path].allowed


def test_what_needs_this_machine_says_so() -> None:
    with pytest.raises(HeadraceError, match=r"is `aws`: this needs substrate\.kind `local`"):
        _ = parsed(on_aws()).local
    with pytest.raises(HeadraceError, match=r"is `local`: this needs substrate\.kind `aws`"):
        _ = parsed(shipped()).aws
