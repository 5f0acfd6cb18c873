"""Exceptions: declared with the rule, for one resource, until a day, and printed."""

from __future__ import annotations

from datetime import date
from typing import Any

import grpc
import jsonschema
import pytest

from headrace_policies import RULES
from headrace_policies.exceptions import SCHEMA
from headrace_policies.pack import IN_USE
from headrace_policies.rule import Declared
from tests.policies.analyzer import serving, urn

KMS = [rule for rule in RULES if rule.id in ("KMS.4", "HR-TAG-1")]
TAGS = {"environment": "prod", "owner": "orders", "cost-centre": "4711"}
OLD, OTHER = (
    Declared("aws:kms/key:Key", {"enableKeyRotation": False, "tags": TAGS}, name) for name in ("old", "other")
)
LAST_DAY = date(2026, 6, 30)
EXCEPTION = {"resource": "old", "until": "2026-06-30", "reason": "imported material, replaced in July"}


def config(**changes: Any) -> dict[str, dict[str, Any]]:
    return {"KMS.4": {"exceptions": [EXCEPTION | changes]}}


def test_one_resource_is_excepted_and_it_is_printed() -> None:
    with serving(KMS, today=LAST_DAY) as pack:
        pack.configure(config())
        said = pack.judge([OLD, OTHER])
    assert [(one.rule, one.urn, one.mandatory) for one in said] == [
        ("KMS.4", urn(OTHER), True),
        (IN_USE, urn(OLD), False),
    ]
    printed = said[1].message
    assert "KMS.4 is not enforced for old until 2026-06-30: imported material, replaced in July" in printed
    assert "`enableKeyRotation` is false" in printed


def test_it_ends_with_its_day() -> None:
    with serving(KMS, today=date(2026, 7, 1)) as pack:
        pack.configure(config())
        (said,) = pack.judge([OLD])
    assert said.mandatory
    assert "an exception ended on 2026-06-30: imported material, replaced in July" in said.message


def test_it_is_for_its_rule_alone() -> None:
    untagged = Declared("aws:kms/key:Key", {"enableKeyRotation": False}, "old")
    with serving(KMS, today=LAST_DAY) as pack:
        pack.configure(config())
        said = pack.judge([untagged])
    assert [one.rule for one in said] == ["HR-TAG-1", IN_USE]


def test_it_has_no_patterns() -> None:
    with serving(KMS, today=LAST_DAY) as pack:
        pack.configure(config(resource="*"))
        (said,) = pack.judge([OLD])
    assert said.mandatory


@pytest.mark.parametrize("field", ["resource", "until", "reason"])
def test_an_incomplete_one_is_refused_by_its_schema_and_by_the_rule(field: str) -> None:
    declared = {key: value for key, value in EXCEPTION.items() if key != field}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([declared], SCHEMA)
    with serving(KMS) as pack:
        pack.configure({"KMS.4": {"exceptions": [declared]}})
        with pytest.raises(grpc.RpcError, match=f"an exception lacks {field}"):
            pack.judge([OLD])


def test_a_day_that_is_none_is_refused() -> None:
    with serving(KMS) as pack:
        pack.configure(config(until="next year"))
        with pytest.raises(grpc.RpcError, match="`until` is YYYY-MM-DD, not 'next year'"):
            pack.judge([OLD])
