"""EC2: flow logs of networks, ingress of security groups, and nodes that come from launch templates."""

from __future__ import annotations

from collections.abc import Iterator

from headrace_policies.nodes import Node
from headrace_policies.remedies import always, changed
from headrace_policies.rule import Change, Declared, Option, Rule
from headrace_policies.samples import TAGS
from headrace_policies.stacks import Case

VPC = "aws:ec2/vpc:Vpc"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
GROUP_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
INGRESS_RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
ANYWHERE = ("0.0.0.0/0", "::/0")
RANGES = ("cidrBlocks", "ipv6CidrBlocks", "cidrIpv4", "cidrIpv6")
"""A rule's addresses: inline and as SecurityGroupRule, and as SecurityGroupIngressRule."""

GOOD_TEMPLATE = {
    "name": "nodes",
    "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
    "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true", "volumeSize": 40}}],
    "tags": TAGS,
}


def _flow_logs(case: Case) -> Iterator[str]:
    if not case.referring(FLOW_LOG, "vpcId"):
        yield f"VPC {case.resource.name} has no FlowLog whose `vpcId` is its id"


def _ingress(case: Case) -> Iterator[str]:
    for rule in _ingress_rules(case):
        for key in RANGES:
            for cidr in rule.at(key).items:
                if cidr.text in ANYWHERE and not _is_allowed(rule, case.config["openPorts"]):
                    yield cidr.fault(f"{_ports(rule)} can be reached from everywhere")


def _ingress_rules(case: Case) -> list[Node]:
    if case.resource.kind == GROUP:
        return case.at("ingress").items
    is_egress = case.resource.kind == GROUP_RULE and case.at("type").text == "egress"
    return [] if is_egress else [case.resource.properties]


def _is_allowed(rule: Node, open_ports: list[int]) -> bool:
    first, last = rule.at("fromPort").number, rule.at("toPort").number
    return first is not None and first == last and int(first) in open_ports


def _ports(rule: Node) -> str:
    first, last = rule.at("fromPort").text, rule.at("toPort").text
    if rule.at("protocol").text == "-1" or rule.at("ipProtocol").text == "-1" or not first:
        return "every port"
    return f"port {first}" if first == last else f"ports {first} to {last}"


def _imds(case: Case) -> Iterator[str]:
    if case.at("metadataOptions", "httpEndpoint").text == "disabled":
        return
    node = case.at("metadataOptions", "httpTokens")
    if node.text != "required":
        yield node.fault("the metadata service answers without a token (version 1); it has to be required")
    hops = case.at("metadataOptions", "httpPutResponseHopLimit")
    if (hops.number or 0) > case.config["maximumHops"]:
        yield hops.fault("containers on the node can get the node's credentials")


def _volumes(case: Case) -> Iterator[str]:
    for mapping in case.at("blockDeviceMappings").items:
        ebs = mapping.at("ebs")
        if ebs.is_set and not ebs.at("encrypted").is_true:
            yield ebs.at("encrypted").fault("the volume is not encrypted; it has to be true")


def _encrypting(faulty: Node) -> Iterator[Change]:
    for at, mapping in enumerate(faulty.at("blockDeviceMappings").items):
        if mapping.at("ebs").is_set:
            yield ("blockDeviceMappings", at, "ebs", "encrypted"), "true"


def _group(cidr: str) -> tuple[Declared, ...]:
    ingress = {"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": [cidr]}
    return (Declared(GROUP, {"vpcId": "vpc-1", "ingress": [ingress], "tags": TAGS}),)


RULES = (
    Rule(
        id="EC2.6",
        title="A VPC logs its flows",
        also=("nag-VPC7",),
        severity="medium",
        governs=(VPC,),
        relates=(FLOW_LOG,),
        decides=("vpcId",),
        decides_in=1,
        absent_is_fault=True,
        why="Flow logs are what shows who spoke to whom when something went wrong.",
        fix="Declare a FlowLog with the VPC's id as `vpcId`.",
        judge=_flow_logs,
        fails=(Declared(VPC, {"id": "vpc-1", "cidrBlock": "10.0.0.0/16", "tags": TAGS}),),
        passes=(
            Declared(VPC, {"id": "vpc-1", "cidrBlock": "10.0.0.0/16", "tags": TAGS}),
            Declared(FLOW_LOG, {"vpcId": "vpc-1", "trafficType": "ALL", "tags": TAGS}, "flows"),
        ),
    ),
    Rule(
        id="EC2.18",
        title="No ingress is open to every address",
        also=("EC2.19", "CKV_AWS_24", "CKV_AWS_25", "nag-EC23"),
        severity="high",
        governs=(GROUP, GROUP_RULE, INGRESS_RULE),
        decides=("ingress", "0", "cidrBlocks"),
        absent_is_fault=False,
        why="What listens behind an open port is found within minutes.",
        fix="Name the addresses or the security groups that may connect, or put a port that is meant "
        "to be open into "
        "`openPorts`.",
        judge=_ingress,
        options={"openPorts": Option({"type": "array", "items": {"type": "integer"}}, ())},
        fails=_group("0.0.0.0/0"),
        passes=_group("10.0.0.0/16"),
    ),
    Rule(
        id="EC2.170",
        title="Nodes of a launch template ask for metadata with a token (IMDSv2)",
        also=("CKV_AWS_79", "CKV_AWS_341"),
        severity="low",
        governs=(TEMPLATE,),
        decides=("metadataOptions", "httpTokens"),
        absent_is_fault=True,
        why="Without a token, a request that a service is tricked into forwards the node's credentials.",
        fix="Set `metadataOptions.httpTokens` to required, and leave `httpPutResponseHopLimit` at 1. "
        "The remediation "
        "sets the first alone: fewer hops can take a pod's credentials away.",
        judge=_imds,
        options={"maximumHops": Option({"type": "integer", "minimum": 1}, 1)},
        remedy=always("metadataOptions", "httpTokens", value="required"),
        fails=(Declared(TEMPLATE, changed(GOOD_TEMPLATE, ("metadataOptions", "httpTokens"), "optional")),),
        passes=(Declared(TEMPLATE, GOOD_TEMPLATE),),
    ),
    Rule(
        id="EC2.181",
        title="Volumes of a launch template are encrypted",
        severity="medium",
        governs=(TEMPLATE,),
        decides=("blockDeviceMappings", "0", "ebs", "encrypted"),
        absent_is_fault=True,
        why="Local state of a task manager is on the node's volume, in clear text unless that is encrypted.",
        fix="Set `encrypted` of every `blockDeviceMappings[].ebs` to true.",
        judge=_volumes,
        remedy=_encrypting,
        fails=(
            Declared(TEMPLATE, GOOD_TEMPLATE | {"blockDeviceMappings": [{"ebs": {"encrypted": "false"}}]}),
        ),
        passes=(Declared(TEMPLATE, GOOD_TEMPLATE),),
    ),
)
