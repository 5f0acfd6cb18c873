"""Assembles the policy pack; Pulumi's engine runs it. Building the pack serves it and does not return."""

from pulumi_policy import EnforcementLevel, PolicyPack

from headrace_policies import RULES, policies
from headrace_policies.pack import NAME

PolicyPack(NAME, policies(RULES), enforcement_level=EnforcementLevel.MANDATORY)
