"""EC2's kinds: networks and who may speak to whom. All of them are moto's."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.standins.aws.account import ACCOUNT, Account
from tests.standins.aws.kind import Kind, changed_tags, first, tag_list, tags_of
from tests.standins.values import Values, camel, given


class Ec2Kind(Kind):
    """Whose id is EC2's own, and whose tags are set by it."""

    resource: ClassVar[str]
    """As in its ARN."""

    def create(self, account: Account, inputs: Values) -> str:
        made = self.make(account.ec2, inputs)
        _tag(account, made, {}, inputs)
        return made

    def make(self, ec2: Any, inputs: Values) -> str:
        raise NotImplementedError

    def find(self, ec2: Any, made: str) -> Values | None:
        """As EC2 describes it."""
        raise NotImplementedError

    def seen(self, account: Account, found: Values) -> Values:
        """Outputs of what was found, without its tags and its ARN."""
        raise NotImplementedError

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        found = self.find(account.ec2, made)
        if found is None:
            return None
        outputs = self.seen(account, found)
        if "arn" in self.computed:
            outputs["arn"] = account.arn("ec2", f"{self.resource}/{made}")
        if "tags" in self.schema.inputs:
            outputs["tags"] = tags_of(found.get("Tags", []))
        return outputs

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        _tag(account, made, old, new)


def _tag(account: Account, made: str, old: Values, new: Values) -> None:
    tags, removed = changed_tags(old, new)
    if tags:
        account.ec2.create_tags(Resources=[made], Tags=tag_list(tags))
    if removed:
        account.ec2.delete_tags(Resources=[made], Tags=[{"Key": name} for name in removed])


class Vpc(Ec2Kind):
    token = "aws:ec2/vpc:Vpc"
    resource = "vpc"
    computed = ("arn", "defaultSecurityGroupId", "defaultRouteTableId", "mainRouteTableId", "ownerId")

    def make(self, ec2: Any, inputs: Values) -> str:
        made: str = ec2.create_vpc(CidrBlock=inputs["cidrBlock"])["Vpc"]["VpcId"]
        self._names(ec2, made, inputs)
        return made

    def find(self, ec2: Any, made: str) -> Values | None:
        found: Values | None = first(ec2.describe_vpcs(VpcIds=[made])["Vpcs"])
        return found

    def seen(self, account: Account, found: Values) -> Values:
        ec2, made = account.ec2, found["VpcId"]
        mine = [{"Name": "vpc-id", "Values": [made]}]
        groups = ec2.describe_security_groups(Filters=mine)["SecurityGroups"]
        tables = ec2.describe_route_tables(Filters=mine)["RouteTables"]
        main = next(
            table["RouteTableId"] for table in tables if any(each["Main"] for each in table["Associations"])
        )

        def attribute(name: str) -> bool:
            said = ec2.describe_vpc_attribute(VpcId=made, Attribute=name)
            return bool(said[f"{name[0].upper()}{name[1:]}"]["Value"])

        return {
            "cidrBlock": found["CidrBlock"],
            "enableDnsHostnames": attribute("enableDnsHostnames"),
            "enableDnsSupport": attribute("enableDnsSupport"),
            "defaultSecurityGroupId": next(
                group["GroupId"] for group in groups if group["GroupName"] == "default"
            ),
            "defaultRouteTableId": main,
            "mainRouteTableId": main,
            "ownerId": ACCOUNT,
        }

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        self._names(account.ec2, made, new)
        super().update(account, made, old, new)

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.ec2.delete_vpc(VpcId=made)

    @staticmethod
    def _names(ec2: Any, made: str, inputs: Values) -> None:
        # EC2 takes one attribute at a time.
        for name, default in (("enableDnsSupport", True), ("enableDnsHostnames", False)):
            value = {"Value": inputs.get(name, default)}
            ec2.modify_vpc_attribute(VpcId=made, **{f"{name[0].upper()}{name[1:]}": value})


class DefaultSecurityGroup(Ec2Kind):
    """Nothing is made: the group that each VPC has is taken over, and let go again."""

    token = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
    resource = "security-group"
    computed = ("arn", "ownerId", "name", "description")

    def make(self, ec2: Any, inputs: Values) -> str:
        mine = [
            {"Name": "vpc-id", "Values": [inputs["vpcId"]]},
            {"Name": "group-name", "Values": ["default"]},
        ]
        (group,) = ec2.describe_security_groups(Filters=mine)["SecurityGroups"]
        _clear(ec2, group)
        if inputs.get("ingress") or inputs.get("egress"):
            raise NotImplementedError("rules of a default security group")
        made: str = group["GroupId"]
        return made

    def find(self, ec2: Any, made: str) -> Values | None:
        return _group(ec2, made)

    def seen(self, account: Account, found: Values) -> Values:
        return {
            "name": "default",
            "description": found["Description"],
            "vpcId": found["VpcId"],
            "ownerId": ACCOUNT,
            "ingress": camel(found["IpPermissions"]),
            "egress": camel(found["IpPermissionsEgress"]),
        }

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        _clear(account.ec2, account.ec2.describe_security_groups(GroupIds=[made])["SecurityGroups"][0])
        super().update(account, made, old, new)

    def delete(self, account: Account, made: str, state: Values) -> None:
        """It goes with its VPC alone."""


class SecurityGroup(Ec2Kind):
    token = "aws:ec2/securityGroup:SecurityGroup"
    resource = "security-group"
    named = "name"
    computed = ("arn", "ownerId")

    def make(self, ec2: Any, inputs: Values) -> str:
        made: str = ec2.create_security_group(
            GroupName=inputs["name"],
            Description=inputs.get("description", "Managed by Pulumi"),
            VpcId=inputs["vpcId"],
        )["GroupId"]
        # EC2 lets a new group out everywhere; the real provider takes that back.
        _clear(ec2, ec2.describe_security_groups(GroupIds=[made])["SecurityGroups"][0])
        return made

    def find(self, ec2: Any, made: str) -> Values | None:
        return _group(ec2, made)

    def seen(self, account: Account, found: Values) -> Values:
        return {
            "name": found["GroupName"],
            "description": found["Description"],
            "vpcId": found["VpcId"],
            "ownerId": ACCOUNT,
        }

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.ec2.delete_security_group(GroupId=made)


def _group(ec2: Any, made: str) -> Values | None:
    found: Values | None = first(ec2.describe_security_groups(GroupIds=[made])["SecurityGroups"])
    return found


def _clear(ec2: Any, group: Values) -> None:
    if group["IpPermissions"]:
        ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=group["IpPermissions"])
    if group["IpPermissionsEgress"]:
        ec2.revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=group["IpPermissionsEgress"])


class SecurityGroupRule(Ec2Kind):
    """A rule of its own, in one direction. What may change of it in place, moto makes anew under its id."""

    resource = "security-group-rule"
    computed = ("arn", "securityGroupRuleId")
    way: ClassVar[str]

    def make(self, ec2: Any, inputs: Values) -> str:
        permission = given(
            IpProtocol=inputs["ipProtocol"], FromPort=inputs.get("fromPort"), ToPort=inputs.get("toPort")
        )
        described = given(Description=inputs.get("description"))
        if "cidrIpv4" in inputs:
            permission["IpRanges"] = [{"CidrIp": inputs["cidrIpv4"], **described}]
        if "referencedSecurityGroupId" in inputs:
            other = {"GroupId": inputs["referencedSecurityGroupId"], **described}
            permission["UserIdGroupPairs"] = [other]
        allow = getattr(ec2, f"authorize_security_group_{self.way}")
        (rule,) = allow(GroupId=inputs["securityGroupId"], IpPermissions=[permission])["SecurityGroupRules"]
        made: str = rule["SecurityGroupRuleId"]
        return made

    def find(self, ec2: Any, made: str) -> Values | None:
        # moto answers a question for an unknown rule with nothing, where EC2 refuses it.
        found: Values | None = first(
            ec2.describe_security_group_rules(SecurityGroupRuleIds=[made])["SecurityGroupRules"]
        )
        return found

    def seen(self, account: Account, found: Values) -> Values:
        seen = given(
            securityGroupRuleId=found["SecurityGroupRuleId"],
            securityGroupId=found["GroupId"],
            ipProtocol=found["IpProtocol"],
            fromPort=found.get("FromPort"),
            toPort=found.get("ToPort"),
            cidrIpv4=found.get("CidrIpv4"),
            description=found.get("Description"),
        )
        if other := found.get("ReferencedGroupInfo"):
            seen["referencedSecurityGroupId"] = other["GroupId"]
        return seen

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        rule = given(
            IpProtocol=new["ipProtocol"],
            FromPort=new.get("fromPort"),
            ToPort=new.get("toPort"),
            CidrIpv4=new.get("cidrIpv4"),
            ReferencedGroupId=new.get("referencedSecurityGroupId"),
            Description=new.get("description"),
        )
        account.ec2.modify_security_group_rules(
            GroupId=new["securityGroupId"],
            SecurityGroupRules=[{"SecurityGroupRuleId": made, "SecurityGroupRule": rule}],
        )
        super().update(account, made, old, new)

    def delete(self, account: Account, made: str, state: Values) -> None:
        revoke = getattr(account.ec2, f"revoke_security_group_{self.way}")
        revoke(GroupId=state["securityGroupId"], SecurityGroupRuleIds=[made])


class SecurityGroupIngressRule(SecurityGroupRule):
    token = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    way = "ingress"


class SecurityGroupEgressRule(SecurityGroupRule):
    token = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
    way = "egress"


class Subnet(Ec2Kind):
    token = "aws:ec2/subnet:Subnet"
    resource = "subnet"
    computed = ("arn", "availabilityZoneId", "ownerId")

    def make(self, ec2: Any, inputs: Values) -> str:
        made: str = ec2.create_subnet(
            **given(
                VpcId=inputs["vpcId"],
                CidrBlock=inputs["cidrBlock"],
                AvailabilityZone=inputs.get("availabilityZone"),
            )
        )["Subnet"]["SubnetId"]
        self._public(ec2, made, inputs)
        return made

    def find(self, ec2: Any, made: str) -> Values | None:
        found: Values | None = first(ec2.describe_subnets(SubnetIds=[made])["Subnets"])
        return found

    def seen(self, account: Account, found: Values) -> Values:
        return {
            "vpcId": found["VpcId"],
            "cidrBlock": found["CidrBlock"],
            "availabilityZone": found["AvailabilityZone"],
            "availabilityZoneId": found["AvailabilityZoneId"],
            "mapPublicIpOnLaunch": found["MapPublicIpOnLaunch"],
            "ownerId": ACCOUNT,
        }

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        self._public(account.ec2, made, new)
        super().update(account, made, old, new)

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.ec2.delete_subnet(SubnetId=made)

    @staticmethod
    def _public(ec2: Any, made: str, inputs: Values) -> None:
        value = {"Value": inputs.get("mapPublicIpOnLaunch", False)}
        ec2.modify_subnet_attribute(SubnetId=made, MapPublicIpOnLaunch=value)


class InternetGateway(Ec2Kind):
    token = "aws:ec2/internetGateway:InternetGateway"
    resource = "internet-gateway"
    computed = ("arn", "ownerId")

    def make(self, ec2: Any, inputs: Values) -> str:
        made: str = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        if "vpcId" in inputs:
            ec2.attach_internet_gateway(InternetGatewayId=made, VpcId=inputs["vpcId"])
        return made

    def find(self, ec2: Any, made: str) -> Values | None:
        found: Values | None = first(
            ec2.describe_internet_gateways(InternetGatewayIds=[made])["InternetGateways"]
        )
        return found

    def seen(self, account: Account, found: Values) -> Values:
        attached = first(found["Attachments"])
        return {"ownerId": ACCOUNT, "vpcId": attached["VpcId"] if attached else ""}

    def delete(self, account: Account, made: str, state: Values) -> None:
        for each in account.ec2.describe_internet_gateways(InternetGatewayIds=[made])["InternetGateways"]:
            for attached in each["Attachments"]:
                account.ec2.detach_internet_gateway(InternetGatewayId=made, VpcId=attached["VpcId"])
        account.ec2.delete_internet_gateway(InternetGatewayId=made)


class RouteTable(Ec2Kind):
    token = "aws:ec2/routeTable:RouteTable"
    resource = "route-table"
    computed = ("arn", "ownerId")

    def make(self, ec2: Any, inputs: Values) -> str:
        if inputs.get("routes"):
            raise NotImplementedError("routes of a table itself; they are resources of their own")
        made: str = ec2.create_route_table(VpcId=inputs["vpcId"])["RouteTable"]["RouteTableId"]
        return made

    def find(self, ec2: Any, made: str) -> Values | None:
        found: Values | None = first(ec2.describe_route_tables(RouteTableIds=[made])["RouteTables"])
        return found

    def seen(self, account: Account, found: Values) -> Values:
        return {"vpcId": found["VpcId"], "ownerId": ACCOUNT}

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.ec2.delete_route_table(RouteTableId=made)


class RouteTableAssociation(Kind):
    token = "aws:ec2/routeTableAssociation:RouteTableAssociation"

    def create(self, account: Account, inputs: Values) -> str:
        made: str = account.ec2.associate_route_table(
            RouteTableId=inputs["routeTableId"], SubnetId=inputs["subnetId"]
        )["AssociationId"]
        return made

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        mine = [{"Name": "association.route-table-association-id", "Values": [made]}]
        for table in account.ec2.describe_route_tables(Filters=mine)["RouteTables"]:
            for each in table["Associations"]:
                if each["RouteTableAssociationId"] == made:
                    return {"routeTableId": table["RouteTableId"], "subnetId": each["SubnetId"]}
        return None

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.ec2.disassociate_route_table(AssociationId=made)


class Route(Kind):
    token = "aws:ec2/route:Route"
    computed = ("origin", "state")

    def create(self, account: Account, inputs: Values) -> str:
        account.ec2.create_route(**_route(inputs))
        return f"r-{inputs['routeTableId']}-{inputs['destinationCidrBlock']}"

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        for table in account.ec2.describe_route_tables(RouteTableIds=[state["routeTableId"]])["RouteTables"]:
            for each in table["Routes"]:
                if each.get("DestinationCidrBlock") == state["destinationCidrBlock"]:
                    return given(
                        destinationCidrBlock=each["DestinationCidrBlock"],
                        gatewayId=each.get("GatewayId"),
                        natGatewayId=each.get("NatGatewayId"),
                        origin="CreateRoute",
                        state="active",
                    )
        return None

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        account.ec2.replace_route(**_route(new))

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.ec2.delete_route(
            RouteTableId=state["routeTableId"], DestinationCidrBlock=state["destinationCidrBlock"]
        )


def _route(inputs: Values) -> Values:
    return given(
        RouteTableId=inputs["routeTableId"],
        DestinationCidrBlock=inputs["destinationCidrBlock"],
        GatewayId=inputs.get("gatewayId"),
        NatGatewayId=inputs.get("natGatewayId"),
    )


class Eip(Ec2Kind):
    token = "aws:ec2/eip:Eip"
    resource = "elastic-ip"
    computed = ("allocationId", "arn", "publicIp")

    def make(self, ec2: Any, inputs: Values) -> str:
        made: str = ec2.allocate_address(Domain=inputs.get("domain", "vpc"))["AllocationId"]
        return made

    def find(self, ec2: Any, made: str) -> Values | None:
        found: Values | None = first(ec2.describe_addresses(AllocationIds=[made])["Addresses"])
        return found

    def seen(self, account: Account, found: Values) -> Values:
        return {
            "allocationId": found["AllocationId"],
            "publicIp": found["PublicIp"],
            "domain": found["Domain"],
        }

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.ec2.release_address(AllocationId=made)


class NatGateway(Ec2Kind):
    token = "aws:ec2/natGateway:NatGateway"
    resource = "natgateway"
    computed = ("privateIp", "publicIp")

    def make(self, ec2: Any, inputs: Values) -> str:
        made: str = ec2.create_nat_gateway(
            **given(SubnetId=inputs["subnetId"], AllocationId=inputs.get("allocationId"))
        )["NatGateway"]["NatGatewayId"]
        return made

    def find(self, ec2: Any, made: str) -> Values | None:
        found = first(ec2.describe_nat_gateways(NatGatewayIds=[made])["NatGateways"])
        return found if found and found["State"] != "deleted" else None

    def seen(self, account: Account, found: Values) -> Values:
        (address,) = found["NatGatewayAddresses"]
        return {
            "subnetId": found["SubnetId"],
            "allocationId": address["AllocationId"],
            "publicIp": address["PublicIp"],
            "privateIp": address["PrivateIp"],
        }

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.ec2.delete_nat_gateway(NatGatewayId=made)


class VpcEndpoint(Ec2Kind):
    token = "aws:ec2/vpcEndpoint:VpcEndpoint"
    resource = "vpc-endpoint"
    computed = ("arn", "ownerId", "state")
    changing = (
        ("routeTableIds", "RouteTableIds"),
        ("subnetIds", "SubnetIds"),
        ("securityGroupIds", "SecurityGroupIds"),
    )

    def make(self, ec2: Any, inputs: Values) -> str:
        made: str = ec2.create_vpc_endpoint(
            **given(
                VpcId=inputs["vpcId"],
                ServiceName=inputs["serviceName"],
                VpcEndpointType=inputs.get("vpcEndpointType"),
                PrivateDnsEnabled=inputs.get("privateDnsEnabled"),
                **{theirs: inputs.get(ours) for ours, theirs in self.changing},
            )
        )["VpcEndpoint"]["VpcEndpointId"]
        return made

    def find(self, ec2: Any, made: str) -> Values | None:
        found = first(ec2.describe_vpc_endpoints(VpcEndpointIds=[made])["VpcEndpoints"])
        return found if found and found["State"] != "deleted" else None

    def seen(self, account: Account, found: Values) -> Values:
        return {
            "vpcId": found["VpcId"],
            "serviceName": found["ServiceName"],
            "vpcEndpointType": found["VpcEndpointType"],
            "ownerId": ACCOUNT,
            "state": found["State"],
        }

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        changes: Values = {}
        for ours, theirs in self.changing:
            before, after = set(old.get(ours) or ()), set(new.get(ours) or ())
            changes |= given(
                **{f"Add{theirs}": sorted(after - before) or None},
                **{f"Remove{theirs}": sorted(before - after) or None},
            )
        if changes:
            account.ec2.modify_vpc_endpoint(VpcEndpointId=made, **changes)
        super().update(account, made, old, new)

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.ec2.delete_vpc_endpoints(VpcEndpointIds=[made])


class FlowLog(Ec2Kind):
    token = "aws:ec2/flowLog:FlowLog"
    resource = "vpc-flow-log"
    computed = ("arn",)

    def make(self, ec2: Any, inputs: Values) -> str:
        answer = ec2.create_flow_logs(
            **given(
                ResourceIds=[inputs["vpcId"]],
                ResourceType="VPC",
                TrafficType=inputs.get("trafficType"),
                LogDestinationType=inputs.get("logDestinationType", "cloud-watch-logs"),
                LogDestination=inputs.get("logDestination"),
                DeliverLogsPermissionArn=inputs.get("iamRoleArn"),
                MaxAggregationInterval=inputs.get("maxAggregationInterval"),
            )
        )
        if not answer["FlowLogIds"]:
            raise ValueError(f"flow log: {answer['Unsuccessful'][0]['Error']['Message']}")
        made: str = answer["FlowLogIds"][0]
        return made

    def find(self, ec2: Any, made: str) -> Values | None:
        found: Values | None = first(ec2.describe_flow_logs(FlowLogIds=[made])["FlowLogs"])
        return found

    def seen(self, account: Account, found: Values) -> Values:
        return given(
            vpcId=found["ResourceId"],
            trafficType=found.get("TrafficType"),
            logDestination=found.get("LogDestination"),
            iamRoleArn=found.get("DeliverLogsPermissionArn"),
        )

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.ec2.delete_flow_logs(FlowLogIds=[made])


NETWORK: tuple[Kind, ...] = (
    Vpc(),
    DefaultSecurityGroup(),
    SecurityGroup(),
    SecurityGroupIngressRule(),
    SecurityGroupEgressRule(),
    Subnet(),
    InternetGateway(),
    RouteTable(),
    RouteTableAssociation(),
    Route(),
    Eip(),
    NatGateway(),
    VpcEndpoint(),
    FlowLog(),
)
