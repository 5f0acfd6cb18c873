"""What a manifest says of an agent, in the agent's own environment."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from headrace_agents import codec
from headrace_agents.__main__ import main
from headrace_agents.code import RUNTIME_PACKAGE, NoPackageError, code_digest
from headrace_agents.describing import agents_of, manifest_of
from headrace_agents.flink import sql
from headrace_agents.manifest import Manifest, Manifests
from headrace_agents.operators import OPERATORS
from headrace_agents.shapes import shape_of
from headrace_agents.step_names import steps_of

TRIAGE, RISK = "support_triage.agent:SupportTriage", "order_risk.agent:OrderRisk"


def test_the_shipped_agents_are_described() -> None:
    risk = manifest_of(RISK)
    assert (risk.memory.version, risk.memory.migrates_from, risk.memory.shape.name) == (1, (), "OrderMemory")
    assert risk.memory.shape.untold == ()
    assert risk.state_format == codec.VERSION
    assert [(each.uid, each.states) for each in risk.operators] == [
        ("changes", ()),
        ("agent", ("shard",)),
        ("results", ()),
    ]
    assert risk.steps.names == ("country_rules", "hold", "model", "payment_history")
    assert not risk.steps.dynamic
    assert [each.name for each in risk.reminders] == ["PaymentDue"]
    assert [each.name for each in risk.decisions] == ["Assessed", "Unpaid"]
    assert sorted(risk.prompts) == ["question", "task"]
    assert "default" not in risk.settings.read["properties"]["task"]
    assert risk.code == code_digest(RUNTIME_PACKAGE, "order_risk")
    triage = manifest_of(TRIAGE)
    assert triage.answers is not None
    assert triage.answers.name == "EscalationVerdict"


def test_the_job_and_the_manifest_name_operators_by_the_same_constants() -> None:
    assert {each.uid for each in OPERATORS} == {sql.SOURCE, sql.SINK, "agent"}


def test_the_command_writes_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    written = []
    for at in range(2):
        out = tmp_path / f"{at}.json"
        command = [sys.executable, "-I", "-m", "headrace_agents", "manifest", "--out", str(out)]
        subprocess.run([*command, "--entry-point", TRIAGE, "--package", "order_risk"], check=True)
        written.append(out.read_bytes())
    assert written[0] == written[1]
    found = Manifests.model_validate_json(written[0])
    assert found.agents == {TRIAGE: manifest_of(TRIAGE), RISK: manifest_of(RISK)}
    assert written[0].decode() == found.canonical() + "\n"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--entry-point", "nowhere.agent:A"], "can't import nowhere.agent"),
        (["--package", "nowhere"], "package nowhere is not installed"),
    ],
)
def test_what_is_not_there_is_said(given: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["manifest", *given])
    assert ended.value.code == 1
    assert said in capsys.readouterr().err


def test_agents_of_a_package_are_found_where_they_are_defined() -> None:
    assert agents_of("order_risk") == (RISK,)
    with pytest.raises(NoPackageError):
        agents_of("nowhere")


def test_flink_and_clients_of_models_are_not_needed_to_read_one() -> None:
    program = (
        "import sys, headrace_agents.manifest\n"
        "sys.exit(bool(sys.modules.keys() & {'pyflink', 'openai', 'aiohttp', 'boto3'}))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


class Plain(BaseModel):
    amounts: dict[int, Decimal] = {}


class Checked(BaseModel):
    model_config = ConfigDict(strict=True)

    at: Annotated[int, Field(alias="when")] = 0
    name: str = ""

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return name


def test_keys_of_mappings_and_decimals_are_told() -> None:
    shape = shape_of(Plain)
    assert shape.untold == ()
    amounts = shape.written["properties"]["amounts"]
    assert (amounts["x-keys"], amounts["additionalProperties"]) == (
        {"type": "integer"},
        {"type": "string", "format": "decimal"},
    )


def test_what_no_schema_tells_is_listed_with_its_place() -> None:
    assert shape_of(Checked).untold == (
        "Checked.at: serialization_alias",
        "Checked.at: validation_alias",
        "Checked.name: function-after",
        "Checked: strict",
    )


class Uses:
    """No agent: only its source is read."""

    async def literal(self, ctx: Any) -> None:
        await ctx.step("pay", print)
        await ctx.model("?", tools=[self.look, print], name="judge")
        await ctx.embed(["text"])

    async def look(self) -> None: ...


def test_steps_are_named_as_the_source_has_them() -> None:
    assert {"pay", "judge", "look", "print", "embed"} <= set(steps_of(Uses).names)


def test_names_that_are_worked_out_are_said_to_be_there() -> None:
    assert manifest_of("headrace_testing_agents.agents:FiveSteps").steps.dynamic


def test_a_manifest_is_read_as_it_was_written() -> None:
    found = manifest_of(TRIAGE)
    assert Manifest.model_validate(json.loads(found.canonical())) == found
