from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from headrace.environment.engines import Engine
from headrace.plan.aws.kafka import PLUGIN_FOLDERS
from headrace.plan.binlog import CONNECTORS
from headrace.plan.connectors import CONNECTOR
from headrace.toolchain import Runtimes
from headrace.toolchain.debezium_connector import JAR

every_engine = pytest.mark.parametrize("engine", PLUGIN_FOLDERS)


def plugin(engine: Engine) -> Path:
    runtimes = Runtimes.locate()
    folder = runtimes.connect_plugins if engine == "postgresql" else runtimes.other_plugins
    return folder / PLUGIN_FOLDERS[engine]


@every_engine
def test_the_installed_plugin_has_the_connector_that_the_plan_names(engine: Engine) -> None:
    connector = {"postgresql": CONNECTOR, **CONNECTORS}[engine]
    with zipfile.ZipFile(plugin(engine) / JAR) as archive:
        assert f"{connector.replace('.', '/')}.class" in archive.namelist()
        (service,) = (name for name in archive.namelist() if name.endswith("SourceConnector"))
        assert archive.read(service).decode().strip() == connector


@every_engine
def test_nothing_but_the_jar_is_left_of_its_making(engine: Engine) -> None:
    assert not (plugin(engine) / ".classes").exists()
