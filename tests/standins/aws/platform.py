"""Kinds of the platform: images, the Kubernetes cluster, Kafka, Kafka Connect, the runner."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.standins.aws.account import Account, identifier
from tests.standins.aws.buckets import same_json
from tests.standins.aws.kind import Attached, Kind, changed_tags, first, tag_list, tags_of
from tests.standins.aws.recorded import Recorded
from tests.standins.protocol import Refused
from tests.standins.values import Values, camel, given, pascal

SERVICE_CIDR = "172.20.0.0/16"
"""Of a cluster in a network of 10.0.0.0/8, as EKS chooses it."""
IAM_PORT = 9098


class Repository(Kind):
    token = "aws:ecr/repository:Repository"
    named = "name"
    computed = ("arn", "registryId", "repositoryUrl")

    def create(self, account: Account, inputs: Values) -> str:
        encryption = first(inputs.get("encryptionConfigurations") or [])
        made: str = account.ecr.create_repository(
            **given(
                repositoryName=inputs["name"],
                imageTagMutability=inputs.get("imageTagMutability"),
                imageScanningConfiguration=inputs.get("imageScanningConfiguration"),
                encryptionConfiguration=encryption and camel(encryption),
                tags=tag_list(inputs.get("tags")),
            )
        )["repository"]["repositoryName"]
        return made

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = first(account.ecr.describe_repositories(repositoryNames=[made])["repositories"])
        arn = found["repositoryArn"]
        return {
            "name": made,
            "arn": arn,
            "registryId": found["registryId"],
            "repositoryUrl": found["repositoryUri"],
            "imageTagMutability": found["imageTagMutability"],
            "imageScanningConfiguration": found["imageScanningConfiguration"],
            "tags": tags_of(account.ecr.list_tags_for_resource(resourceArn=arn)["tags"]),
        }

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        ecr = account.ecr
        ecr.put_image_tag_mutability(
            repositoryName=made, imageTagMutability=new.get("imageTagMutability", "MUTABLE")
        )
        scanning = new.get("imageScanningConfiguration", {"scanOnPush": False})
        ecr.put_image_scanning_configuration(repositoryName=made, imageScanningConfiguration=scanning)
        tags, removed = changed_tags(old, new)
        ecr.untag_resource(resourceArn=old["arn"], tagKeys=removed)
        ecr.tag_resource(resourceArn=old["arn"], tags=tag_list(tags))

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.ecr.delete_repository(repositoryName=made, force=bool(state.get("forceDelete")))


class LifecyclePolicy(Attached):
    token = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
    identified_by = "repository"
    computed = ("registryId",)

    def put(self, account: Account, inputs: Values) -> None:
        account.ecr.put_lifecycle_policy(
            repositoryName=inputs["repository"], lifecyclePolicyText=inputs["policy"]
        )

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = account.ecr.get_lifecycle_policy(repositoryName=made)
        return {
            "repository": made,
            "registryId": found["registryId"],
            "policy": same_json(found["lifecyclePolicyText"], state.get("policy")),
        }

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.ecr.delete_lifecycle_policy(repositoryName=made)


class EksCluster(Kind):
    """With the security group that EKS makes for it, which moto's EKS does not: a real one of moto's EC2.

    moto keeps neither Auto Mode's settings nor what is logged: these are as they were asked for. What
    `getCluster` tells of them is on record.
    """

    token = "aws:eks/cluster:Cluster"
    named = "name"
    computed = (
        "arn", "certificateAuthority", "createdAt", "endpoint", "identities", "platformVersion", "status",
    )  # fmt: skip
    nested = (
        "vpcConfig.clusterSecurityGroupId",
        "vpcConfig.vpcId",
        "kubernetesNetworkConfig.serviceIpv4Cidr",
    )
    beside = ("accessConfig", "computeConfig")

    def create(self, account: Account, inputs: Values) -> str:
        made: str = inputs["name"]
        subnets = account.ec2.describe_subnets(SubnetIds=inputs["vpcConfig"]["subnetIds"])["Subnets"]
        account.iam.get_role(RoleName=inputs["roleArn"].rpartition("/")[2])
        account.eks.create_cluster(
            **given(
                name=made,
                version=inputs.get("version"),
                roleArn=inputs["roleArn"],
                resourcesVpcConfig=inputs["vpcConfig"],
                encryptionConfig=[inputs["encryptionConfig"]] if "encryptionConfig" in inputs else None,
                tags=inputs.get("tags") or None,
            )
        )
        account.ec2.create_security_group(
            GroupName=self._group_name(made),
            Description="EKS created security group applied to ENI that is attached to EKS Control Plane",
            VpcId=subnets[0]["VpcId"],
        )
        self._remember(account, inputs)
        return made

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = account.eks.describe_cluster(name=made)["cluster"]
        group, server = self.group(account, made), account.api_server(found)
        network = state.get("kubernetesNetworkConfig") or {}
        return {
            "name": made,
            "arn": found["arn"],
            "version": found["version"],
            "roleArn": found["roleArn"],
            "endpoint": server["endpoint"],
            "certificateAuthority": server["authority"],
            "createdAt": found["createdAt"].isoformat(),
            "identities": [{"oidcs": [{"issuer": found["identity"]["oidc"]["issuer"]}]}],
            "platformVersion": found["platformVersion"],
            "status": found["status"],
            "vpcConfig": {
                **(state.get("vpcConfig") or {}),
                "clusterSecurityGroupId": group["GroupId"],
                "vpcId": group["VpcId"],
            },
            "kubernetesNetworkConfig": {"serviceIpv4Cidr": SERVICE_CIDR} | network,
            "tags": found["tags"],
        }

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        tags, removed = changed_tags(old, new)
        if removed:
            account.eks.untag_resource(resourceArn=old["arn"], tagKeys=removed)
        account.eks.tag_resource(resourceArn=old["arn"], tags=tags)
        self._remember(account, new)

    def delete(self, account: Account, made: str, state: Values) -> None:
        if state.get("deletionProtection"):
            raise Refused(f"cluster {made}: deletion protection is enabled; disable it first")
        account.eks.delete_cluster(name=made)
        account.record.remove(self.token, made)
        group = self.group(account, made)
        account.ec2.delete_security_group(GroupId=group["GroupId"])

    def _remember(self, account: Account, inputs: Values) -> None:
        account.record.put(self.token, inputs["name"], {name: inputs.get(name) for name in self.beside})

    @staticmethod
    def _group_name(cluster: str) -> str:
        return f"eks-cluster-sg-{cluster}"

    @classmethod
    def group(cls, account: Account, cluster: str) -> Values:
        """The one that EKS makes."""
        mine = [{"Name": "group-name", "Values": [cls._group_name(cluster)]}]
        (group,) = account.ec2.describe_security_groups(Filters=mine)["SecurityGroups"]
        found: Values = group
        return found


def _needs_cluster(account: Account, inputs: Values) -> str:
    name: str = inputs["clusterName"]
    account.eks.describe_cluster(name=name)
    return name


class AccessEntry(Recorded):
    token = "aws:eks/accessEntry:AccessEntry"
    computed = ("accessEntryArn", "createdAt", "modifiedAt")

    def facts(self, account: Account, inputs: Values) -> tuple[str, Values]:
        cluster, principal = _needs_cluster(account, inputs), inputs["principalArn"]
        who = principal.split(":", 5)[5]
        return f"{cluster}:{principal}", {
            "accessEntryArn": account.arn("eks", f"access-entry/{cluster}/{who}/{identifier()}"),
            **NOW,
        }


NOW: dict[str, str] = {"createdAt": "2026-01-01T00:00:00Z", "modifiedAt": "2026-01-01T00:00:00Z"}


class AccessPolicyAssociation(Recorded):
    token = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
    computed = ("associatedAt", "modifiedAt")

    def facts(self, account: Account, inputs: Values) -> tuple[str, Values]:
        cluster, principal = _needs_cluster(account, inputs), inputs["principalArn"]
        if account.record.get(AccessEntry.token, f"{cluster}:{principal}") is None:
            raise Refused(f"cluster {cluster} has no access entry for {principal}")
        return f"{cluster}#{principal}#{inputs['policyArn']}", {
            "associatedAt": NOW["createdAt"],
            "modifiedAt": NOW["modifiedAt"],
        }


class PodIdentityAssociation(Recorded):
    token = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
    computed = ("associationArn", "associationId")

    def facts(self, account: Account, inputs: Values) -> tuple[str, Values]:
        cluster = _needs_cluster(account, inputs)
        account.iam.get_role(RoleName=inputs["roleArn"].rpartition("/")[2])
        whose = (cluster, inputs["namespace"], inputs["serviceAccount"])
        for each in account.record.all(self.token).values():
            if (each["clusterName"], each["namespace"], each["serviceAccount"]) == whose:
                raise Refused(f"service account {'/'.join(whose[1:])} of {cluster} has an identity already")
        made = f"a-{identifier().replace('-', '')[:17]}"
        return made, {
            "associationId": made,
            "associationArn": account.arn("eks", f"podidentityassociation/{cluster}/{made}"),
        }


class MskCluster(Kind):
    """moto's cluster, by its name: its ARN lacks the name that AWS's has, so AWS's form is kept beside it."""

    token = "aws:msk/cluster:Cluster"
    named = "clusterName"
    computed = (
        "arn", "bootstrapBrokers", "bootstrapBrokersSaslIam", "bootstrapBrokersTls", "clusterUuid",
        "currentVersion", "zookeeperConnectString",
    )  # fmt: skip

    def create(self, account: Account, inputs: Values) -> str:
        nodes = inputs["brokerNodeGroupInfo"]
        account.ec2.describe_subnets(SubnetIds=nodes["clientSubnets"])
        account.ec2.describe_security_groups(GroupIds=nodes["securityGroups"])
        if configured := inputs.get("configurationInfo"):
            _needs_record(account, MskConfiguration.token, configured["arn"])
        name = inputs["clusterName"]
        if _msk(account, name):
            raise Refused(f"ConflictException: there is a cluster named {name} already")
        theirs: str = account.kafka.create_cluster(
            ClusterName=name,
            KafkaVersion=inputs["kafkaVersion"],
            NumberOfBrokerNodes=inputs["numberOfBrokerNodes"],
            BrokerNodeGroupInfo=given(
                ClientSubnets=nodes["clientSubnets"],
                InstanceType=nodes["instanceType"],
                SecurityGroups=nodes["securityGroups"],
                StorageInfo=pascal(nodes["storageInfo"]) if "storageInfo" in nodes else None,
            ),
            Tags=inputs.get("tags") or {},
        )["ClusterArn"]
        return account.arn("kafka", f"cluster/{name}/{theirs.rpartition('/')[2]}-1")

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        name, their_id = made.split("/")[1:]
        found = _msk(account, name)
        if found is None:
            return None
        brokers = [
            f"b-{at}.{name}.{their_id[:6]}.c1.kafka.{account.region}.amazonaws.com"
            for at in range(1, min(found["NumberOfBrokerNodes"], 3) + 1)
        ]
        sasl = (state.get("clientAuthentication") or {}).get("sasl") or {}
        return {
            "arn": made,
            "clusterName": name,
            "clusterUuid": their_id,
            "kafkaVersion": found["CurrentBrokerSoftwareInfo"]["KafkaVersion"],
            "numberOfBrokerNodes": found["NumberOfBrokerNodes"],
            "currentVersion": "K3P5ROKL5A1OLE",
            "bootstrapBrokers": "",
            "bootstrapBrokersTls": "",
            "bootstrapBrokersSaslIam": ",".join(f"{each}:{IAM_PORT}" for each in brokers if sasl.get("iam")),
            "zookeeperConnectString": "",
            "tags": found.get("Tags") or {},
        }

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        """moto changes tags alone; what else is changed is as it was asked for."""
        found = _msk(account, old["clusterName"])
        if found is None:
            raise Refused(f"there is no cluster {made}")
        tags, removed = changed_tags(old, new)
        account.kafka.untag_resource(ResourceArn=found["ClusterArn"], TagKeys=removed)
        account.kafka.tag_resource(ResourceArn=found["ClusterArn"], Tags=tags)

    def delete(self, account: Account, made: str, state: Values) -> None:
        found = _msk(account, state["clusterName"])
        if found:
            account.kafka.delete_cluster(ClusterArn=found["ClusterArn"])


def _msk(account: Account, name: str) -> Values | None:
    listed = account.kafka.list_clusters()["ClusterInfoList"]
    listed_one = first([each for each in listed if each["ClusterName"] == name])
    if listed_one is None:
        return None
    found: Values = account.kafka.describe_cluster(ClusterArn=listed_one["ClusterArn"])["ClusterInfo"]
    return found


def _needs_record(account: Account, kind: str, made: str) -> None:
    if account.record.get(kind, made) is None:
        raise Refused(f"NotFoundException: there is no {kind} {made}")


class Versioned(Recorded):
    """Named, with an ARN that holds the name, and revisions that begin with 1."""

    named = "name"
    service: ClassVar[str]
    resource: ClassVar[str]
    further: ClassVar[dict[str, Any]] = {}

    def facts(self, account: Account, inputs: Values) -> tuple[str, Values]:
        self.needs(account, inputs)
        taken = {each["name"] for each in account.record.all(self.token).values()}
        if inputs["name"] in taken:
            raise Refused(f"ConflictException: there is a {self.resource} named {inputs['name']} already")
        made = account.arn(self.service, f"{self.resource}/{inputs['name']}/{identifier()}-1")
        return made, {"arn": made, "latestRevision": 1, **self.further}

    def needs(self, account: Account, inputs: Values) -> None:
        """Raises where it refers to what is not there."""


class MskConfiguration(Versioned):
    token = "aws:msk/configuration:Configuration"
    computed = ("arn", "latestRevision")
    service, resource = "kafka", "configuration"

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        super().update(account, made, old, new)
        held = account.record.get(self.token, made) or {}
        account.record.put(self.token, made, held | {"latestRevision": held["latestRevision"] + 1})


class MskTopic(Recorded):
    token = "aws:msk/topic:Topic"
    named = "name"
    computed = ("arn", "configsActual")

    def facts(self, account: Account, inputs: Values) -> tuple[str, Values]:
        cluster, name = inputs["clusterArn"], inputs["name"]
        found = _msk(account, cluster.split("/")[1])
        if found is None:
            raise Refused(f"NotFoundException: there is no cluster {cluster}")
        if inputs["replicationFactor"] > found["NumberOfBrokerNodes"]:
            raise Refused(
                f"topic {name}: more copies than the cluster's {found['NumberOfBrokerNodes']} brokers"
            )
        arn = f"{cluster.replace(':cluster/', ':topic/')}/{name}"
        return f"{cluster},{name}", {"arn": arn, "configsActual": inputs.get("configs") or "{}"}

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        if new["partitionCount"] < old["partitionCount"]:
            raise Refused(f"topic {made}: partitions can't become fewer")
        super().update(account, made, old, new)


class CustomPlugin(Versioned):
    token = "aws:mskconnect/customPlugin:CustomPlugin"
    computed = ("arn", "latestRevision", "state")
    service, resource = "kafkaconnect", "custom-plugin"
    further: ClassVar[dict[str, Any]] = {"state": "ACTIVE"}

    def needs(self, account: Account, inputs: Values) -> None:
        where = inputs["location"]["s3"]
        bucket = where["bucketArn"].rpartition(":")[2]
        version = where.get("objectVersion")
        account.s3.head_object(**given(Bucket=bucket, Key=where["fileKey"], VersionId=version or None))


class WorkerConfiguration(Versioned):
    token = "aws:mskconnect/workerConfiguration:WorkerConfiguration"
    computed = ("arn", "latestRevision")
    service, resource = "kafkaconnect", "worker-configuration"


class Connector(Versioned):
    token = "aws:mskconnect/connector:Connector"
    computed = ("arn", "version")
    service, resource = "kafkaconnect", "connector"
    further: ClassVar[dict[str, Any]] = {"version": "K3P5ROKL5A1OLE"}

    def facts(self, account: Account, inputs: Values) -> tuple[str, Values]:
        made, outputs = super().facts(account, inputs)
        del outputs["latestRevision"]
        return made, outputs

    def needs(self, account: Account, inputs: Values) -> None:
        for plugin in inputs["plugins"]:
            _needs_record(account, CustomPlugin.token, plugin["customPlugin"]["arn"])
        if workers := inputs.get("workerConfiguration"):
            _needs_record(account, WorkerConfiguration.token, workers["arn"])
        account.iam.get_role(RoleName=inputs["serviceExecutionRoleArn"].rpartition("/")[2])
        place = inputs["kafkaCluster"]["apacheKafkaCluster"]["vpc"]
        account.ec2.describe_subnets(SubnetIds=place["subnets"])
        account.ec2.describe_security_groups(GroupIds=place["securityGroups"])


class ScalableTarget(Kind):
    token = "aws:appautoscaling/target:Target"
    computed = ("arn",)

    def create(self, account: Account, inputs: Values) -> str:
        self._put(account, inputs)
        made: str = inputs["resourceId"]
        return made

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = first(
            account.application_autoscaling.describe_scalable_targets(
                ServiceNamespace=state["serviceNamespace"], ResourceIds=[made]
            )["ScalableTargets"]
        )
        if found is None:
            return None
        return {
            "resourceId": made,
            "minCapacity": found["MinCapacity"],
            "maxCapacity": found["MaxCapacity"],
            "arn": account.arn("application-autoscaling", f"scalable-target/{made.rpartition('/')[2]}"),
        }

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        self._put(account, new)

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.application_autoscaling.deregister_scalable_target(**_scaled(state))

    @staticmethod
    def _put(account: Account, inputs: Values) -> None:
        account.application_autoscaling.register_scalable_target(
            **_scaled(inputs), MinCapacity=inputs["minCapacity"], MaxCapacity=inputs["maxCapacity"]
        )


def _scaled(inputs: Values) -> Values:
    return {
        "ServiceNamespace": inputs["serviceNamespace"],
        "ScalableDimension": inputs["scalableDimension"],
        "ResourceId": inputs["resourceId"],
    }


class ScalingPolicy(Attached):
    token = "aws:appautoscaling/policy:Policy"
    identified_by = "name"
    named = "name"
    computed = ("alarmArns", "arn")

    def put(self, account: Account, inputs: Values) -> None:
        tracking = inputs["targetTrackingScalingPolicyConfiguration"]
        account.application_autoscaling.put_scaling_policy(
            **_scaled(inputs),
            PolicyName=inputs["name"],
            PolicyType=inputs.get("policyType", "TargetTrackingScaling"),
            TargetTrackingScalingPolicyConfiguration=pascal(tracking),
        )

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = first(
            account.application_autoscaling.describe_scaling_policies(
                ServiceNamespace=state["serviceNamespace"], PolicyNames=[made]
            )["ScalingPolicies"]
        )
        if found is None:
            return None
        return {"name": made, "arn": found["PolicyARN"], "alarmArns": []}

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.application_autoscaling.delete_scaling_policy(**_scaled(state), PolicyName=made)


class CodeBuildProject(Recorded):
    """moto makes and removes projects and can't change them: so all of it is a record."""

    token = "aws:codebuild/project:Project"
    named = "name"
    computed = ("arn",)

    def facts(self, account: Account, inputs: Values) -> tuple[str, Values]:
        account.iam.get_role(RoleName=inputs["serviceRole"].rpartition("/")[2])
        if place := inputs.get("vpcConfig"):
            account.ec2.describe_subnets(SubnetIds=place["subnets"])
            account.ec2.describe_security_groups(GroupIds=place["securityGroupIds"])
        made = account.arn("codebuild", f"project/{inputs['name']}")
        return made, {"arn": made}


PLATFORM: tuple[Kind, ...] = (
    Repository(),
    LifecyclePolicy(),
    EksCluster(),
    AccessEntry(),
    AccessPolicyAssociation(),
    PodIdentityAssociation(),
    MskCluster(),
    MskConfiguration(),
    MskTopic(),
    CustomPlugin(),
    WorkerConfiguration(),
    Connector(),
    ScalableTarget(),
    ScalingPolicy(),
    CodeBuildProject(),
)
