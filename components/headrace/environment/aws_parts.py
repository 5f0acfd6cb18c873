"""Parts of the AWS substrate: what is there already, who may do what, and what is run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from headrace.environment.fields import declared
from headrace.environment.types import A_NAME, Declared, Name, matching

IP_BLOCK = r"[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}"
AN_IP_BLOCK = "an IPv4 block such as `10.0.0.0/16`"
SECRET_ARN = r"arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[\w/+=.@-]+-[A-Za-z0-9]{6}"
A_SECRET_ARN = "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-6RANDOM"
DIGEST = r"sha256:[0-9a-f]{64}"
IMAGE_BY_DIGEST = rf"[a-zA-Z0-9._:/-]+@{DIGEST}"
AN_IMAGE_BY_DIGEST = "`REPOSITORY@sha256:` and 64 hexadecimal digits"

IpBlock = Annotated[str, matching(IP_BLOCK, 18)]
PrincipalArn = Annotated[
    str, matching(r"arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[a-zA-Z0-9+=,.@_/-]+", 2_048)
]
ImageByDigest = Annotated[str, matching(IMAGE_BY_DIGEST, 512)]


class Network(Declared):
    """The VPC: a new one, or one that is there."""

    cidr: IpBlock | None = declared(
        AN_IP_BLOCK, "Addresses of a new VPC; left out, worked out. Not with `vpc_id`.", default=None
    )
    nat: Literal["one", "per-zone"] = declared(
        "`one` or `per-zone`",
        "NAT gateways of a new VPC: one is cheaper, one per zone outlives a zone.",
        default="per-zone",
    )
    vpc_id: Annotated[str, matching(r"vpc-[0-9a-f]{8,17}", 21)] | None = declared(
        "the id of a VPC, `vpc-...`", "A VPC that is there; left out, one is made.", default=None
    )
    private_subnet_ids: tuple[Annotated[str, matching(r"subnet-[0-9a-f]{8,17}", 24)], ...] = declared(
        "a list of subnets' ids, `subnet-...`",
        "Private subnets of that VPC, one in each zone.",
        default=(),
    )


class Cluster(Declared):
    """The EKS cluster: a new one, or one that is there."""

    existing: Annotated[str, matching(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,99}", 100)] | None = declared(
        "a cluster's name: letters, digits, dashes and underscores, at most 100 characters",
        "An EKS cluster with Auto Mode that is there, in `network.vpc_id`; left out, one is made.",
        default=None,
    )


class Endpoint(Declared):
    """How the Kubernetes API is reached."""

    access: Literal["private", "public"] = declared(
        "`private` or `public`",
        "`private`: from within the VPC alone, so a runner there brings the stack up, on top of a foundation"
        " that is made before; `public`: also from `cidrs`.",
        default="private",
    )
    cidrs: tuple[IpBlock, ...] = declared(
        f"a list; each is {AN_IP_BLOCK}",
        "Who may reach a public endpoint. Not with `cluster.existing`, whose owner says it.",
        default=(),
    )


class Access(Declared):
    """Who may do what in the cluster, beside the runner, which administers it."""

    admins: tuple[PrincipalArn, ...] = declared(
        "a list of ARNs of IAM roles or users",
        "Who may do everything in the cluster; a public endpoint needs one, who brings the stack up. In"
        " `cluster.existing` they have to be let in already.",
        default=(),
    )
    viewers: tuple[PrincipalArn, ...] = declared(
        "a list of ARNs of IAM roles or users",
        "Who may look at everything in the cluster but secrets. Not with `cluster.existing`, whose owner"
        " says it.",
        default=(),
    )


class Database(Declared):
    """Where a source's database is, and the secret with its password."""

    source: Name = declared(A_NAME, "The source, by its name under `sources`.")
    host: Annotated[str, matching(r"[a-zA-Z0-9]([a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?", 253)] = declared(
        "a host's name or address", "The server, as it is reached from within the VPC."
    )
    port: Annotated[int, Field(strict=True, ge=1, le=65_535)] | None = declared(
        "a whole number from 1 to 65535",
        "The server's port; left out, 5432, with engine `mysql` and `mariadb` 3306.",
        default=None,
    )
    security_group_id: Annotated[str, matching(r"sg-[0-9a-f]{8,17}", 20)] = declared(
        "the id of a security group, `sg-...`",
        "The server's; it has to let in the private subnets at that port.",
    )
    secret_arn: Annotated[str, matching(SECRET_ARN, 2_048)] = declared(
        A_SECRET_ARN,
        "The secret of Secrets Manager that holds the connector's password under the key `password`.",
        secret=True,
    )
    secret_key_arn: Annotated[
        str, matching(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+", 2_048)
    ] = declared("arn:aws:kms:REGION:ACCOUNT:key/ID", "The KMS key that this secret is encrypted with.")
    preflight: Literal["required", "skipped"] = declared(
        "required or skipped",
        "Whether whoever brings the stack up looks at the database before its connector, and drops its slot"
        " when the source goes. Required, it has to be reached from there.",
        default="required",
    )


class FlinkOperator(Declared):
    """Where the Flink Kubernetes Operator comes from; its documentation names the addresses of a release."""

    chart: Annotated[str, matching(r"(https|oci)://[^\s@]+|[^\s@:]+", 1_000)] = declared(
        "a path, `https://...` or `oci://...`, without a login",
        "The Helm chart of release 1.15.0; a path is taken from the project's folder.",
    )
    image: ImageByDigest = declared(AN_IMAGE_BY_DIGEST, "The operator's image.")


class ConnectPlugin(Declared):
    """What `headrace plugin build` wrote."""

    archive: Annotated[str, matching(r"[^\x00]+\.zip", 1_000)] = declared(
        "the path of a zip file", "The plugin of MSK Connect, taken from the project's folder."
    )
    sha256: Annotated[str, matching(r"[0-9a-f]{64}", 64)] = declared(
        "64 hexadecimal digits", "The file's checksum: another file is refused, and is another plugin."
    )
