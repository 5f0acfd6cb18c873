"""What a report says of itself: whether it failed, and which statements may be run at any time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.capture.catalogue import Identity
from headrace.capture.finding import Finding, Mend, Report, Severity
from headrace.capture.preflight import CHECKS, identity

FINDING = Finding("a-check", "error", "it is so", "this comes of it", Mend(("ONE", "TWO"), safe=True))


def report(*findings: Finding) -> Report:
    return Report("shop", "17.2", (), findings)


@pytest.mark.parametrize(("severity", "failed"), [("error", True), ("warning", False), ("info", False)])
def test_errors_alone_fail(severity: Severity, failed: bool) -> None:
    assert report(replace(FINDING, severity=severity)).failed is failed


def test_safe_statements_come_once_and_in_their_order() -> None:
    again = replace(FINDING, mend=Mend(("THREE", "ONE"), safe=True))
    assert report(FINDING, again).safe_sql == ("ONE", "TWO", "THREE")


def test_what_needs_care_or_is_only_said_is_not_run() -> None:
    careful = replace(FINDING, mend=Mend(("DROP",)))
    assert report(careful, replace(FINDING, severity="info")).safe_sql == ()


def test_a_finding_is_text_with_its_statements() -> None:
    said = replace(FINDING, mend=Mend(("ONE",), advice="restart"))
    assert str(said) == "error: a-check: it is so: this comes of it\n  ONE;\n  restart"


def test_checks_have_names_of_their_own_and_say_what_holds() -> None:
    names = [identity(check) for check in CHECKS]
    assert len(set(names)) == len(names)
    assert all(check.__doc__ for check in CHECKS)


@pytest.mark.parametrize(
    ("kind", "primary_key", "index", "columns", "logged"),
    [
        ("d", ("id",), (), ("id",), True),
        ("d", ("id",), (), ("id", "customer"), False),
        ("d", (), (), (), False),
        ("i", ("id",), ("customer",), ("customer",), True),
        ("i", ("id",), ("customer",), ("id",), False),
        ("f", (), (), ("anything",), True),
        ("n", ("id",), (), ("id",), False),
    ],
)
def test_an_identity_logs_the_columns_that_postgresql_says(
    kind: str, primary_key: tuple[str, ...], index: tuple[str, ...], columns: tuple[str, ...], logged: bool
) -> None:
    assert Identity("public.t", kind, primary_key, index).logs(columns) is logged
