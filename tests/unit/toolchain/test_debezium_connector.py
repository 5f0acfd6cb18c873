from __future__ import annotations

import zipfile

from headrace.plan.connectors import CONNECTOR
from headrace.toolchain import Runtimes
from headrace.toolchain.debezium_connector import JAR


def test_the_installed_plugin_has_the_connector_that_the_plan_names() -> None:
    jar = Runtimes.locate().connect_plugins / "debezium-postgres" / JAR
    with zipfile.ZipFile(jar) as archive:
        assert f"{CONNECTOR.replace('.', '/')}.class" in archive.namelist()
        (service,) = (name for name in archive.namelist() if name.endswith("SourceConnector"))
        assert archive.read(service).decode().strip() == CONNECTOR


def test_nothing_but_the_jar_is_left_of_its_making() -> None:
    assert not (Runtimes.locate().connect_plugins / "debezium-postgres" / ".classes").exists()
