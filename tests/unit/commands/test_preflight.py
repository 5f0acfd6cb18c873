"""`headrace preflight`: what is shown, as JSON too, what is asked, and how it ends; no server is reached."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from headrace.capture.finding import Finding, Mend, Report
from headrace.capture.preflight import Access
from headrace.commands import preflight as command
from headrace.commands.common import FAILED
from headrace.operations import captured_sources
from tests.unit.commands.conftest import CHECKOUT, run

RIGHT = Finding(
    "replication-right",
    "error",
    "role [r] may not replicate",
    "the connector fails",
    Mend(('ALTER ROLE "r" REPLICATION',), safe=True),
)
LEVEL = Finding(
    "wal-level",
    "error",
    "wal_level is replica",
    "nothing is decoded",
    Mend(("ALTER SYSTEM SET wal_level = 'logical'",), advice="restart the server afterwards"),
)
DISK = Finding("bounded-wal", "info", "the disk is not known", "it was not looked at", Mend(advice="tell it"))
TYPE = Finding("column-types", "warning", "a is jsonpath", "it is left out", Mend())


def report(*findings: Finding) -> Report:
    return Report("support", "17.2", ("connection", "heartbeat"), findings)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Sequence[str]]]:
    """What is found at each look, in turn; the result is filled with what is run as an administrator."""

    def found(*reports: Report) -> list[Sequence[str]]:
        waiting, ran = list(reports), list[Sequence[str]]()

        def look(*_: object) -> Iterator[Report]:
            yield waiting.pop(0)

        def mend(_stack: object, _sources: object, _ways: object, reports: Sequence[Report]) -> None:
            ran.extend(each.safe_sql for each in reports)

        monkeypatch.setattr(command, "look", look)
        monkeypatch.setattr(command, "mend_safely", mend)
        return ran

    return found


def test_causes_and_statements_are_shown_and_an_error_fails(looks: Callable[..., Any]) -> None:
    looks(report(RIGHT, LEVEL, TYPE))
    shown = run("preflight")
    assert shown.exit_code == FAILED
    for text in (
        "support: PostgreSQL 17.2, 2 checks passed",
        "role [r] may not replicate",
        "the connector fails",
        '  ALTER ROLE "r" REPLICATION;',
        "restart the server afterwards",
        "by --fix",
        "by SQL, with care",
        "by a person",
    ):
        assert text in shown.stdout


@pytest.mark.parametrize("findings", [(), (DISK,), (TYPE, DISK)])
def test_what_is_no_error_does_not_fail(looks: Callable[..., Any], findings: tuple[Finding, ...]) -> None:
    looks(report(*findings))
    assert run("preflight").exit_code == 0


def test_json_has_all_of_it_and_nothing_else_is_on_standard_output(looks: Callable[..., Any]) -> None:
    looks(report(RIGHT, DISK))
    found = run("preflight", "support", "--json")
    assert found.exit_code == FAILED
    assert json.loads(found.stdout) == [
        {
            "source": "support",
            "server": "17.2",
            "passed": ["connection", "heartbeat"],
            "findings": [
                {
                    "check": "replication-right",
                    "severity": "error",
                    "found": "role [r] may not replicate",
                    "consequence": "the connector fails",
                    "mend": {"sql": ['ALTER ROLE "r" REPLICATION'], "safe": True, "advice": ""},
                },
                {
                    "check": "bounded-wal",
                    "severity": "info",
                    "found": "the disk is not known",
                    "consequence": "it was not looked at",
                    "mend": {"sql": [], "safe": False, "advice": "tell it"},
                },
            ],
            "failed": True,
        }
    ]


def test_fix_shows_the_safe_statements_asks_runs_them_and_looks_again(looks: Callable[..., Any]) -> None:
    ran = looks(report(RIGHT, LEVEL), report())
    fixed = run("preflight", "--fix", answer="y\n")
    assert fixed.exit_code == 0
    assert 'support: ALTER ROLE "r" REPLICATION;' in fixed.stderr
    assert "wal_level = 'logical'" not in fixed.stderr
    assert ran == [('ALTER ROLE "r" REPLICATION',)]
    assert "support: PostgreSQL 17.2, 2 checks passed" in fixed.stdout
    assert "may not replicate" not in fixed.stdout


def test_what_fix_shows_is_no_part_of_its_json(looks: Callable[..., Any]) -> None:
    looks(report(RIGHT), report())
    fixed = run("preflight", "--fix", "--yes", "--json")
    assert json.loads(fixed.stdout)[0]["failed"] is False
    assert 'support: ALTER ROLE "r" REPLICATION;' in fixed.stderr


def test_fix_runs_nothing_when_the_answer_is_no(looks: Callable[..., Any]) -> None:
    ran = looks(report(RIGHT))
    assert run("preflight", "--fix", answer="n\n").exit_code == 1
    assert ran == []


def test_fix_fails_on_what_is_left(looks: Callable[..., Any]) -> None:
    looks(report(RIGHT, LEVEL), report(LEVEL))
    fixed = run("preflight", "--fix", "--yes")
    assert fixed.exit_code == FAILED
    assert "wal_level is replica" in fixed.stdout


def test_without_a_safe_statement_fix_asks_nothing(looks: Callable[..., Any]) -> None:
    ran = looks(report(LEVEL))
    assert run("preflight", "--fix").exit_code == FAILED
    assert ran == []


def test_a_source_that_is_not_declared_is_refused() -> None:
    refused = run("preflight", "other")
    assert refused.exit_code == FAILED
    assert "given other; allowed: support" in refused.stderr


def test_before_the_first_up_there_is_nothing_to_look_at() -> None:
    refused = run("preflight")
    assert refused.exit_code == FAILED
    assert "`headrace up --stack local` makes the local database first" in refused.stderr


def test_a_local_stack_has_its_own_server() -> None:
    refused = run("preflight", "--service", "shop")
    assert refused.exit_code == FAILED
    assert "--service: given shop; allowed: none" in refused.stderr


@pytest.fixture
def on_aws(in_project: Path, monkeypatch: pytest.MonkeyPatch) -> list[Access]:
    """A stack on AWS, and the ways that are taken to its database."""
    (in_project / "stacks" / "Pulumi.dev.yaml").write_text(
        (CHECKOUT / "stacks" / "Pulumi.dev.yaml").read_text()
    )
    for variable in (*captured_sources.SERVERS, "PGSSLMODE"):
        monkeypatch.delenv(variable, raising=False)
    ways: list[Access] = []

    def looked(_source: object, access: Access, _declared: object) -> Report:
        ways.append(access)
        return report(RIGHT)

    monkeypatch.setattr(captured_sources, "preflight", looked)
    monkeypatch.setattr(captured_sources, "mend", lambda access, _statements: ways.append(access))
    return ways


def test_on_aws_a_server_has_to_be_named(on_aws: list[Access]) -> None:
    refused = run("preflight", "--stack", "dev")
    assert refused.exit_code == FAILED
    assert "given no server; allowed: --service" in refused.stderr
    assert on_aws == []


def test_on_aws_libpq_finds_the_server_and_database_and_role_are_the_declared_ones(
    on_aws: list[Access], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "database.example")
    run("preflight", "--stack", "dev", "--disk-free", "1000")
    run("preflight", "--stack", "dev", "--service", "shop")
    role = {"dbname": "support", "user": "headrace_dev_support"}
    assert [way.parameters for way in on_aws] == [role | {"sslmode": "require"}, role | {"service": "shop"}]
    assert [way.disk_free_bytes for way in on_aws] == [1000 << 20, None]


def test_on_aws_an_administrator_mends_by_a_service_of_their_own(on_aws: list[Access]) -> None:
    refused = run("preflight", "--stack", "dev", "--service", "shop", "--fix", "--yes")
    assert "--admin-service: given none" in refused.stderr
    on_aws.clear()
    run("preflight", "--stack", "dev", "--service", "shop", "--admin-service", "dba", "--fix", "--yes")
    assert on_aws[1].parameters == {"dbname": "support", "service": "dba"}


def test_what_a_way_holds_is_in_no_text_of_it() -> None:
    assert "hush" not in repr(Access({"password": "hush"}))
