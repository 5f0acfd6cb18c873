"""The catalogue: it answers every control that it was made for, and says what a rule has to say."""

from __future__ import annotations

import subprocess
import sys

import jsonschema
import pytest

from headrace_policies import RULES
from headrace_policies.frameworks import owner
from headrace_policies.pack import schema
from headrace_policies.rule import Rule

CONTROLS = """
EKS.1 CIS-5.4.2 CKV_AWS_39 nag-EKS1
CKV_AWS_38 CIS-5.4.1
EKS.2 CKV_AWS_339
EKS.3 CIS-5.3.1 CKV_AWS_58
EKS.8 CIS-2.1.1
CKV_AWS_37 nag-EKS2
CKV_AWS_100
CIS-5.4.3
CIS-5.4.4
CIS-5.2.1
CIS-4.2.1
MSK.1 nag-MSK3
nag-MSK2 CKV_AWS_81
MSK.2
MSK.3
MSK.4 CKV_AWS_291
MSK.5
MSK.6
CKV_AWS_80 nag-MSK6
S3.1 S3.8 CKV_AWS_53 CKV_AWS_54 CKV_AWS_55 CKV_AWS_56 nag-S2
S3.5 nag-S10
S3.6
S3.9 nag-S1
S3.12
S3.13 CKV_AWS_300
S3.14
S3.17
CKV_AWS_70
IAM.1 CKV_AWS_62
IAM.21 nag-IAM5
CKV_AWS_60
CKV_AWS_286
CKV_AWS_355
KMS.1 KMS.2
KMS.4 CKV_AWS_7 nag-KMS5
KMS.5 CKV_AWS_33
EC2.6 nag-VPC7
EC2.18 EC2.19 CKV_AWS_24 CKV_AWS_25 nag-EC23
EC2.170 CKV_AWS_79 CKV_AWS_341
EC2.181
SecretsManager.1 nag-SMG4
CKV_AWS_149
HR-CKPT-1
HR-CKPT-2
HR-CKPT-3
HR-FLINK-1
HR-FLINK-2
HR-FLINK-3
HR-KAFKA-1
HR-CDC-1
HR-CDC-2
HR-AGENT-1
HR-AGENT-2
HR-TAG-1
"""
"""A line for each rule: its id, and the other controls that it answers."""

ids = pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])


def test_every_control_is_answered_by_one_rule() -> None:
    answered = [" ".join((rule.id, *rule.also)) for rule in RULES]
    assert sorted(answered) == sorted(CONTROLS.split("\n")[1:-1])


@ids
def test_a_rule_says_what_is_needed(rule: Rule) -> None:
    assert all(owner(control) for control in (rule.id, *rule.also))
    assert rule.why.endswith(".")
    assert rule.fix.endswith(".")
    assert not rule.title.endswith(".")
    assert rule.fails[0].kind in rule.governs
    assert rule.passes[0].kind in rule.governs


@ids
def test_defaults_are_within_their_schema(rule: Rule) -> None:
    for option in schema(rule).properties.values():
        jsonschema.Draft202012Validator.check_schema(option)
        if "default" in option:
            jsonschema.validate(option["default"], option)


def test_importing_starts_no_server() -> None:
    looks = "import threading, headrace_policies.serving, sys; sys.exit(len(threading.enumerate()) - 1)"
    assert subprocess.run([sys.executable, "-c", looks], check=False).returncode == 0
