"""The image of agents, built from its Dockerfile: non-root, nothing writable, and all that a job needs."""

from __future__ import annotations

from headrace.aws.flink_image import PYTHON, PYTHON_JAR, USER
from tests.image.container import TMP, Container

IMPORTS = "import headrace_agents.flink.function, openai, order_risk, pyflink.datastream, support_triage"


def test_it_runs_as_a_user_who_owns_nothing_in_it(image: Container) -> None:
    assert image.run("id", "-u").stdout.strip() == str(USER)
    found = image.run("find", "/", "-xdev", "-user", str(USER), "-not", "-path", "/proc/*")
    assert found.stdout.split() == []


def test_nothing_but_its_volume_can_be_written(image: Container) -> None:
    assert image.run("touch", f"{TMP.path}/file").returncode == 0
    for folder in ("/", "/opt/flink", "/opt/flink/conf", "/opt/python", "/etc", "/var/tmp"):
        refused = image.run("touch", f"{folder}/file")
        assert refused.returncode != 0, folder
        assert "Read-only file system" in refused.stderr


def test_agents_and_what_they_need_are_there(image: Container) -> None:
    done = image.run(PYTHON, "-c", IMPORTS)
    assert done.returncode == 0, done.stderr
    assert image.run(PYTHON, "-c", "import pytest").returncode != 0


def test_flink_starts_from_the_home_that_local_runs(image: Container) -> None:
    done = image.run("flink", "--version")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Version: 2.3.0" in done.stdout
    assert list((image.root / "opt" / "flink" / "lib").glob("flink-sql-connector-kafka-*-headrace.jar"))


def test_the_jar_that_a_deployment_names_is_there(image: Container) -> None:
    assert image.run("test", "-f", PYTHON_JAR.removeprefix("local://")).returncode == 0
