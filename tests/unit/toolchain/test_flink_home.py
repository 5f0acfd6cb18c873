from __future__ import annotations

from pathlib import Path

import pytest

from headrace.toolchain import flink_home

PYFLINK = (
    "bin/flink",
    "bin/config.sh",
    "conf/config.yaml",
    "lib/flink-dist-2.3.0.jar",
    "opt/flink-python-2.3.0.jar",
    "opt/flink-sql-client-2.3.0.jar",
    "licenses/LICENSE.asm",
)
JARS = (
    "aws-msk-iam-auth-2.3.5-all-headrace.jar",
    "flink-sql-connector-kafka-5.0.0-2.2.jar",
    "flink-s3-fs-native-2.3.0.jar",
    "flink-metrics-prometheus-2.3.0.jar",
)


@pytest.fixture
def sources(tmp_path: Path) -> tuple[Path, Path]:
    for file in [
        *(tmp_path / "pyflink" / name for name in PYFLINK),
        *(tmp_path / "jars" / name for name in JARS),
    ]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(file.name)
        file.chmod(0o644)
    return tmp_path / "pyflink", tmp_path / "jars"


def files(home: Path) -> dict[str, str]:
    return {str(file.relative_to(home)): file.read_text() for file in home.rglob("*") if file.is_file()}


def test_each_jar_is_where_flink_looks_for_it(sources: tuple[Path, Path], tmp_path: Path) -> None:
    home = tmp_path / "home"
    flink_home.assemble(*sources, home)

    assert files(home).keys() == {
        "bin/flink",
        "bin/config.sh",
        "conf/config.yaml",
        "lib/aws-msk-iam-auth-2.3.5-all-headrace.jar",
        "lib/flink-dist-2.3.0.jar",
        "lib/flink-python-2.3.0.jar",
        "lib/flink-sql-connector-kafka-5.0.0-2.2.jar",
        "licenses/LICENSE.asm",
        "opt/flink-python-2.3.0.jar",
        "opt/flink-sql-client-2.3.0.jar",
        "plugins/metrics-prometheus/flink-metrics-prometheus-2.3.0.jar",
        "plugins/s3-fs-native/flink-s3-fs-native-2.3.0.jar",
    }
    assert all(script.stat().st_mode & 0o100 for script in (home / "bin").iterdir())


def test_a_second_assembly_changes_nothing(sources: tuple[Path, Path], tmp_path: Path) -> None:
    home = tmp_path / "home"
    flink_home.assemble(*sources, home)
    once = files(home)
    flink_home.assemble(*sources, home)
    assert files(home) == once


def test_the_sources_are_only_read(sources: tuple[Path, Path], tmp_path: Path) -> None:
    before = [files(source) for source in sources]
    flink_home.assemble(*sources, tmp_path / "home")
    assert [files(source) for source in sources] == before
