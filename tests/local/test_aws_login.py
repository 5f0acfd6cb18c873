"""The Kafka client in Flink's connector takes what a job on AWS is told of how to log in.

A client that is made has loaded its login module and its callback handler; what AWS answers them is not seen.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from headrace.plan.aws import aws_plan
from headrace.toolchain.runtimes import Runtimes
from tests.components.aws.managed import ENVIRONMENTS, shipped

PROGRAM = Path(__file__).with_name("LogsIn.java")
NOBODY = "127.0.0.1:1"


def logged_in(properties: dict[str, str], *, without: str = "") -> subprocess.CompletedProcess[str]:
    jars = [
        jar
        for jar in (Runtimes.locate().flink / "lib").glob("*.jar")
        if not without or without not in jar.name
    ]
    lines = "".join(
        f"{name}={value}\n" for name, value in {**properties, "bootstrap.servers": NOBODY}.items()
    )
    java = ["java", "-cp", ":".join(map(str, jars)), str(PROGRAM)]
    return subprocess.run(java, input=lines, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_client_of_flinks_connector_is_made(environment: str) -> None:
    agents = aws_plan(shipped(environment)).agents
    (properties,) = {tuple(agent.spec.kafka.client_properties.items()) for agent in agents}
    done = logged_in(dict(properties))
    assert done.stdout.splitlines()[-1:] == ["made"], done.stdout + done.stderr


def test_without_awss_library_there_is_none() -> None:
    properties = aws_plan(shipped("dev")).agents[0].spec.kafka.client_properties
    done = logged_in(properties, without="aws-msk-iam-auth")
    assert done.returncode != 0
    assert "IAMClientCallbackHandler" in done.stderr
