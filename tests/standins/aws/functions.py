"""Functions of the provider that components call: what is there already."""

from __future__ import annotations

from collections.abc import Callable

from tests.standins.aws.account import Account
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
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:index/getCallerIdentity:getCallerIdentity": _caller,
    "aws:ssm/getParametersByPath:getParametersByPath": _parameters,
}
"""By token: what it answers, beside its arguments and the region. All ask moto."""
