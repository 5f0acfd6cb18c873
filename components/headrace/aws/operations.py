"""A runner inside the VPC: from it the platform is deployed and checked, where its endpoints are private."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws
import yaml

from headrace.aws.bucket import BucketRules, SecureBucket, access_log_bucket
from headrace.aws.deploy_rights import Whose, documents
from headrace.aws.encryption import key, usable_by
from headrace.aws.iam import Statement, account_of, allow, document, trust
from headrace.aws.names import AUTONAME_CHARS, POLICY_MAX, ROLE_MAX, fitted
from headrace.aws.source_database import SourceDatabase, looked_at, to_database
from headrace.aws.tags import Tags
from headrace.errors import HeadraceError
from headrace.plan.state_storage import UPLOAD_DAYS

IMAGE = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
"""CodeBuild's own, with Maven, and what it is asked for of the following."""
CODEBUILDS = "aws/codebuild/"
RUNTIMES = {"python": "3.11", "java": "corretto17", "golang": "1.22"}
"""What setup needs; another image has to bring it."""
SIZE = "BUILD_GENERAL1_MEDIUM"
TIMEOUT_MINUTES = 120
"""EKS and MSK take up to an hour, one after the other."""
STEPS = ("preview", "up", "refresh", "destroy")
PROGRAM, STATE = "program.zip", "state"
INSIDE = "HEADRACE_INSIDE"
"""What tells a program that it runs where a private endpoint is reached."""
HTTPS, ANYWHERE = 443, "0.0.0.0/0"


@dataclass(frozen=True, kw_only=True)
class OperationsArgs:
    """Where the runner is, and how long its logs are kept.

    Raises:
        HeadraceError: it is in no subnet.
    """

    region: str
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    """Private ones, with a way out."""
    protect: bool
    """Whether the engine refuses to delete the platform's state."""
    log_days: int
    tags: Tags
    image: str = IMAGE
    existing_cluster: str | None = None
    """Name of a cluster that is there, which the platform then may look up, and not change."""
    databases: Mapping[str, SourceDatabase] = field(default_factory=dict)
    """By the source's name. It gets to those whose preflight is required, and may read their secrets."""

    def __post_init__(self) -> None:
        if not self.subnet_ids:
            raise HeadraceError("operations: given no subnets; allowed: one or more private ones")
        if not self.image.strip():
            raise HeadraceError(f"operations: given no image; allowed: one of CodeBuild's, such as {IMAGE}")


class Operations(pulumi.ComponentResource):
    """A CodeBuild project that takes the step ``HEADRACE_STEP`` of Pulumi with the program in its bucket.

    One build runs at a time. Who may start it may do all that the platform's stage may.

    >>> operations = Operations(
    ...     "prod",
    ...     OperationsArgs(
    ...         region="eu-central-1",
    ...         vpc_id=network.vpc_id,
    ...         subnet_ids=network.private_subnet_ids,
    ...         protect=True,
    ...         log_days=90,
    ...         tags=Tags(environment="prod", owner="data", cost_centre="4711"),
    ...     ),
    ... )  # doctest: +SKIP
    """

    project_name: pulumi.Output[str]
    role_arn: pulumi.Output[str]
    """That the cluster has to let in: ``ClusterArgs.access``."""
    security_group_id: pulumi.Output[str]
    """That the cluster's API has to let in: ``ClusterArgs.api_clients``."""
    bucket_name: pulumi.Output[str]
    """Of the program, as ``program.zip``, and of the platform's state."""
    backend_url: pulumi.Output[str]
    secrets_provider: pulumi.Output[str]
    """Both for `pulumi login` and `pulumi stack init` of the platform's stage."""
    policies: dict[str, list[pulumi.Output[str]]]
    """Documents that a role of CI needs: to deploy ``foundation`` or ``platform``, to use the ``runner``."""

    def __init__(self, name: str, args: OperationsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("headrace:aws:Operations", name, None, opts)
        self._name, self._args, self._child = f"{name}-runner", args, pulumi.ResourceOptions(parent=self)
        data = pulumi.ResourceOptions(parent=self, protect=args.protect)
        self._key = key(self._name, f"What runs and deploys {args.tags.environment}", args.tags, data)
        self._bucket = SecureBucket(
            self._name,
            BucketRules(
                key_arn=self._key.arn,
                abort_uploads_days=UPLOAD_DAYS,
                access_logs=access_log_bucket(
                    f"{self._name}-logs",
                    account_of(self._key.arn),
                    args.log_days,
                    args.tags,
                    self._child,
                    protect=args.protect,
                ),
                versioned=True,
                protect=args.protect,
                tags=args.tags,
            ),
            self._child,
        ).bucket
        self._logs = self._log_group()
        whose = Whose(
            name,
            args.tags.environment,
            args.region,
            existing_cluster=args.existing_cluster,
            databases=looked_at(args.databases.values()),
        )
        self.policies = documents(whose, account_of(self._key.arn))
        role, rights = self._role(self.policies["platform"])
        group = self._security_group()
        project = self._project(role, group, rights)
        self.policies["runner"] = [self._runner_policy(project)]
        self.project_name, self.role_arn, self.security_group_id = project.name, role.arn, group.id
        self.bucket_name = self._bucket.bucket
        self.backend_url = self._backend_url()
        self.secrets_provider = pulumi.Output.concat("awskms:///", self._key.arn, f"?region={args.region}")
        self.register_outputs(
            {
                "project_name": self.project_name,
                "role_arn": self.role_arn,
                "security_group_id": self.security_group_id,
                "bucket_name": self.bucket_name,
                "backend_url": self.backend_url,
                "secrets_provider": self.secrets_provider,
                "policies": self.policies,
            }
        )

    def _backend_url(self) -> pulumi.Output[str]:
        return pulumi.Output.concat("s3://", self._bucket.bucket, f"/{STATE}?region={self._args.region}")

    def _log_group(self) -> aws.cloudwatch.LogGroup:
        region, account = self._args.region, account_of(self._key.arn)
        groups = pulumi.Output.concat(f"arn:aws:logs:{region}:", account, ":log-group:*")
        readable = usable_by(
            self._name,
            self._key,
            [f"logs.{region}.amazonaws.com"],
            self._child,
            {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
        )
        return aws.cloudwatch.LogGroup(
            self._name,
            retention_in_days=self._args.log_days,
            kms_key_id=self._key.arn,
            tags=self._args.tags.named(self._name),
            # CloudWatch tries the key when the group gets it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[readable]),
        )

    def _role(self, platform: Sequence[pulumi.Output[str]]) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        tags = self._args.tags
        role = aws.iam.Role(
            fitted(self._name, ROLE_MAX - AUTONAME_CHARS),
            assume_role_policy=trust("codebuild.amazonaws.com", account_of(self._key.arn)),
            tags=tags.named(self._name),
            opts=self._child,
        )
        rights: list[pulumi.Resource] = [
            aws.iam.RolePolicy(
                self._name, role=role.name, policy=document(*self._own_rights()), opts=self._child
            )
        ]
        for at, policy in enumerate(platform):
            name = f"{self._name}-platform-{at}"
            made = aws.iam.Policy(
                fitted(name, POLICY_MAX - AUTONAME_CHARS),
                description=f"Deploys the platform of {tags.environment}, part {at + 1} of {len(platform)}",
                policy=policy,
                tags=tags.named(name),
                opts=self._child,
            )
            rights.append(
                aws.iam.RolePolicyAttachment(name, role=role.name, policy_arn=made.arn, opts=self._child)
            )
        return role, rights

    def _own_rights(self) -> list[Statement]:
        """Its logs, its program, the state, and an interface in the subnets: what a build is made of."""
        bucket, region, account = self._bucket.arn, self._args.region, account_of(self._key.arn)
        subnets = [
            pulumi.Output.concat(f"arn:aws:ec2:{region}:", account, ":subnet/", each)
            for each in self._args.subnet_ids
        ]
        return [
            allow(
                ["logs:CreateLogStream", "logs:PutLogEvents"], [pulumi.Output.concat(self._logs.arn, ":*")]
            ),
            allow(["s3:GetBucketLocation", "s3:ListBucket"], [bucket]),
            allow(["s3:GetObject", "s3:GetObjectVersion"], [pulumi.Output.concat(bucket, f"/{PROGRAM}")]),
            allow(
                ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
                [pulumi.Output.concat(bucket, f"/{STATE}/*")],
            ),
            allow(["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"], [self._key.arn]),
            allow(
                ["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:Describe*"],
                ["*"],
                {"StringEquals": {"aws:RequestedRegion": region}},
            ),
            allow(
                ["ec2:CreateNetworkInterfacePermission"],
                [pulumi.Output.concat(f"arn:aws:ec2:{region}:", account, ":network-interface/*")],
                {
                    "StringEquals": {"ec2:AuthorizedService": "codebuild.amazonaws.com"},
                    "ArnEquals": {"ec2:Subnet": subnets},
                },
            ),
        ]

    def _security_group(self) -> aws.ec2.SecurityGroup:
        """Out to AWS, to packages, to the cluster's API and to the source databases; nothing comes in."""
        tags = self._args.tags.named(self._name)
        group = aws.ec2.SecurityGroup(
            self._name,
            description="The runner, which deploys and checks the platform",
            vpc_id=self._args.vpc_id,
            tags=tags,
            opts=self._child,
        )
        aws.vpc.SecurityGroupEgressRule(
            self._name,
            security_group_id=group.id,
            cidr_ipv4=ANYWHERE,
            description="Interfaces of AWS, registries of packages, the Kubernetes API",
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            tags=tags,
            opts=self._child,
        )
        for source, database in self._args.databases.items():
            if database.preflight == "required":
                to_database(f"{self._name}-{source}", group, database, self._args.tags, self._child)
        return group

    def _project(
        self, role: aws.iam.Role, group: aws.ec2.SecurityGroup, rights: list[pulumi.Resource]
    ) -> aws.codebuild.Project:
        args = self._args
        return aws.codebuild.Project(
            self._name,
            description=f"Deploys and checks the platform of {args.tags.environment}",
            service_role=role.arn,
            source={
                "type": "S3",
                "location": pulumi.Output.concat(self._bucket.bucket, f"/{PROGRAM}"),
                "buildspec": build_specification(args.image),
            },
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "compute_type": SIZE,
                "image": args.image,
                "privileged_mode": False,
                "environment_variables": [
                    {"name": "HEADRACE_STEP", "value": STEPS[0]},
                    {"name": "HEADRACE_STACK", "value": args.tags.environment},
                    {"name": INSIDE, "value": "true"},
                    {"name": "PULUMI_BACKEND_URL", "value": self._backend_url()},
                    {"name": "PULUMI_SKIP_CONFIRMATIONS", "value": "true"},
                ],
            },
            vpc_config={
                "vpc_id": args.vpc_id,
                "subnets": list(args.subnet_ids),
                "security_group_ids": [group.id],
            },
            encryption_key=self._key.arn,
            logs_config={
                "cloudwatch_logs": {"status": "ENABLED", "group_name": self._logs.name},
                "s3_logs": {"status": "DISABLED"},
            },
            build_timeout=TIMEOUT_MINUTES,
            # A state has one writer.
            concurrent_build_limit=1,
            project_visibility="PRIVATE",
            tags=args.tags.named(self._name),
            opts=pulumi.ResourceOptions(parent=self, depends_on=rights),
        )

    def _runner_policy(self, project: aws.codebuild.Project) -> pulumi.Output[str]:
        """To bring the program, start a build, and follow it."""
        return document(
            allow(["codebuild:BatchGetBuilds", "codebuild:StartBuild", "codebuild:StopBuild"], [project.arn]),
            allow(["s3:PutObject"], [pulumi.Output.concat(self._bucket.arn, f"/{PROGRAM}")]),
            allow(["kms:Decrypt", "kms:GenerateDataKey"], [self._key.arn]),
            allow(["logs:GetLogEvents"], [pulumi.Output.concat(self._logs.arn, ":*")]),
        )


def build_specification(image: str) -> str:
    """What a build does with the program: a checkout of a stack's repository."""
    runtimes = {"runtime-versions": RUNTIMES} if image.startswith(CODEBUILDS) else {}
    pulumi_folder = "python3 -c 'import json, sys; print(json.load(sys.stdin)[\"pulumi\"])'"
    found = f"$(python3 components/headrace/toolchain setup --json | {pulumi_folder})"
    allowed = "|".join(STEPS)
    refusal = f"HEADRACE_STEP: given $HEADRACE_STEP; allowed: {allowed}"
    return yaml.safe_dump(
        {
            "version": 0.2,
            "phases": {
                "install": {**runtimes, "commands": ["make setup"]},
                "build": {
                    "commands": [
                        f'case "$HEADRACE_STEP" in {allowed}) ;; *) echo "{refusal}"; exit 1;; esac',
                        f'export PATH="$PWD/.venv/bin:{found}:$PATH"',
                        'pulumi "$HEADRACE_STEP" --stack "$HEADRACE_STACK" --non-interactive',
                    ]
                },
            },
        },
        sort_keys=False,
        width=1_000,
    )
