"""Functions of the provider that components call: what is there already."""

from __future__ import annotations

from collections.abc import Callable

from tests.standins.aws.account import Account
from tests.standins.aws.platform import SERVICE_CIDR, EksCluster
from tests.standins.values import Values


def _zones(account: Account, arguments: Values) -> Values:
    """moto has no local zones, which the components filter out."""
    found = account.ec2.describe_availability_zones()["AvailabilityZones"]
    return {
        "id": account.region,
        "names": sorted(zone["ZoneName"] for zone in found),
        "zoneIds": sorted(zone["ZoneId"] for zone in found),
        "groupNames": [account.region],
    }


def _subnet(account: Account, arguments: Values) -> Values:
    (found,) = account.ec2.describe_subnets(SubnetIds=[arguments["id"]])["Subnets"]
    return {
        "id": found["SubnetId"],
        "cidrBlock": found["CidrBlock"],
        "vpcId": found["VpcId"],
        "availabilityZone": found["AvailabilityZone"],
    }


def _parameters(account: Account, arguments: Values) -> Values:
    pages = account.ssm.get_paginator("get_parameters_by_path").paginate(Path=arguments["path"])
    found = [each for page in pages for each in page["Parameters"]]
    return {
        "id": arguments["path"],
        "arns": [each["ARN"] for each in found],
        "names": [each["Name"] for each in found],
        "types": [each["Type"] for each in found],
        "values": [each["Value"] for each in found],
    }


def _cluster(account: Account, arguments: Values) -> Values:
    """As EKS describes it; Auto Mode and the mode of authentication are on record, as moto lacks them."""
    name = arguments["name"]
    found = account.eks.describe_cluster(name=name)["cluster"]
    kept = account.record.get(EksCluster.token, name) or {}
    server = account.api_server(found)
    group, place = EksCluster.group(account, name), found["resourcesVpcConfig"]
    compute, access = kept.get("computeConfig") or {}, kept.get("accessConfig") or {}
    return {
        "id": name,
        "arn": found["arn"],
        "accessConfigs": [
            {
                "authenticationMode": access.get("authenticationMode", "CONFIG_MAP"),
                "bootstrapClusterCreatorAdminPermissions": False,
            }
        ],
        "certificateAuthorities": [server["authority"]],
        "computeConfigs": [
            {
                "enabled": bool(compute.get("enabled")),
                "nodePools": compute.get("nodePools", []),
                "nodeRoleArn": compute.get("nodeRoleArn", ""),
            }
        ],
        "endpoint": server["endpoint"],
        "kubernetesNetworkConfigs": [{"ipFamily": "ipv4", "serviceIpv4Cidr": SERVICE_CIDR}],
        "status": found["status"],
        "version": found["version"],
        "vpcConfig": {
            "clusterSecurityGroupId": group["GroupId"],
            "endpointPrivateAccess": bool(place.get("endpointPrivateAccess")),
            "endpointPublicAccess": bool(place.get("endpointPublicAccess")),
            "subnetIds": place["subnetIds"],
            "vpcId": group["VpcId"],
        },
    }


def _caller(account: Account, arguments: Values) -> Values:
    found = account.sts.get_caller_identity()
    return {
        "id": found["Account"],
        "accountId": found["Account"],
        "arn": found["Arn"],
        "userId": found["UserId"],
    }


FUNCTIONS: dict[str, Callable[[Account, Values], Values]] = {
    "aws:ec2/getSubnet:getSubnet": _subnet,
    "aws:eks/getCluster:getCluster": _cluster,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:index/getCallerIdentity:getCallerIdentity": _caller,
    "aws:ssm/getParametersByPath:getParametersByPath": _parameters,
}
"""By token: what it answers, beside its arguments and the region. All ask moto; what moto does not keep of a
kind is on record (`RECORDED_BESIDE` of the catalogue)."""
