"""What a substrate can't do is refused with the reason, and in the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from headrace.capture.abilities import ABILITIES, refuse_on_aws
from headrace.cli import app
from headrace.errors import HeadraceError

PROD = Path(__file__).parents[3] / "stacks" / "Pulumi.prod.yaml"


@pytest.mark.parametrize("name", ABILITIES)
def test_what_aws_can_not_do_is_refused_and_what_it_can_is_not(name: str) -> None:
    ability = ABILITIES[name]
    if ability.aws.is_there:
        refuse_on_aws(name, "prod")
        return
    with pytest.raises(HeadraceError) as refused:
        refuse_on_aws(name, "prod")
    assert str(refused.value).endswith(f"can't {ability.meaning}: {ability.aws.text}")


@pytest.mark.parametrize(
    ("arguments", "ability"),
    [
        (("status",), "status"),
        (("resnapshot", "support", "--yes"), "resnapshot"),
        (("accept", "support", "--yes"), "accept"),
    ],
)
def test_commands_refuse_on_aws_with_the_reason_and_what_to_do(
    arguments: tuple[str, ...], ability: str
) -> None:
    done = CliRunner().invoke(app, ["capture", *arguments, "--file", str(PROD)])
    assert done.exit_code == 1
    assert ABILITIES[ability].aws.text in " ".join(done.output.split())
