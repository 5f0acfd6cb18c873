"""What is PostgreSQL's alone is refused or left out for other engines, with the reason."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from headrace.agents_fit import look_at_agents
from headrace.capture.by_engine import STANDINGS, not_looked_at, refuse_other_engine
from headrace.environment import CONFIG_KEY
from headrace.environment.engines import Engine
from headrace.errors import HeadraceError
from headrace.plan.aws import AwsPlan, aws_plan
from headrace.plan.model import BinlogSourcePlan
from headrace.toolchain.environments import AGENTS
from headrace.toolchain.maven import POM
from tests.unit.commands.conftest import run
from tests.unit.environment.binlog import of_engine
from tests.unit.environment.declarations import on_aws, parsed

both = pytest.mark.parametrize("engine", ["mysql", "mariadb"])


def planned(engine: Engine) -> AwsPlan:
    return aws_plan(parsed(of_engine(engine)))


@both
def test_a_command_that_asks_postgresql_refuses_another_engine(engine: Engine) -> None:
    (source,) = planned(engine).sources
    with pytest.raises(HeadraceError) as refused:
        refuse_other_engine(source)
    assert f"source support: given engine {engine}; allowed: `postgresql`" in str(refused.value)
    refuse_other_engine(aws_plan(parsed(on_aws())).sources[0])


@both
def test_what_a_preflight_can_not_look_at_is_said_with_what_to_look_at_by_hand(engine: Engine) -> None:
    (source,) = planned(engine).sources
    assert isinstance(source, BinlogSourcePlan)
    report = not_looked_at(source)
    (finding,) = report.findings
    assert (report.failed, report.passed, finding.severity) == (False, (), "warning")
    for text in ("binlog_format ROW", "binlog_row_image FULL", "headrace_local_support", "REPLICATION SLAVE"):
        assert text in finding.mend.advice


@both
def test_the_command_tells_of_such_a_source_and_refuses_its_name(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.far.yaml"
    file.write_text(yaml.safe_dump({"config": {CONFIG_KEY: of_engine(engine)}}))

    told = run("preflight", "--file", str(file), "--json")
    assert told.exit_code == 0, told.output
    (report,) = json.loads(told.stdout)
    assert (report["source"], report["passed"], report["failed"]) == ("support", [], False)

    shown = run("preflight", "--file", str(file))
    assert "support: not looked at, 0 checks passed" in shown.output

    refused = run("preflight", "support", "--file", str(file))
    assert refused.exit_code == 1
    assert f"given engine {engine}" in " ".join(refused.output.split())


@both
def test_a_preview_says_that_columns_types_are_not_compared(engine: Engine) -> None:
    warnings = look_at_agents(planned(engine), "a test", AGENTS.python, may_be_elsewhere=True).warnings
    (said,) = (each for each in warnings if each.startswith("source support"))
    assert "shop.tickets" in said
    assert "not against their types" in said


def test_the_table_tells_the_versions_that_are_pinned() -> None:
    (told,) = (each for each in STANDINGS if each.meaning == "version of Debezium")
    pinned = re.findall(r"<(debezium(?:-\w+)?)\.version>([^<]+)<", POM.read_text(encoding="utf-8"))
    assert dict(pinned).keys() == {"debezium", "debezium-mysql", "debezium-mariadb"}
    versions = [told.postgresql, told.mysql, told.mariadb]
    for version, text in zip(dict(pinned).values(), versions, strict=True):
        assert text.startswith(version)


def test_of_postgresql_nothing_is_said() -> None:
    plan = aws_plan(parsed(on_aws()))
    assert look_at_agents(plan, "a test", AGENTS.python, may_be_elsewhere=True).warnings == []
