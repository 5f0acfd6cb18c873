"""The mended connector: one method changed, and nothing where the method is not the one that is known."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from headrace.toolchain import kafka_connector, runtimes
from headrace.toolchain.class_files import UnknownClass

CLOSE = bytes.fromhex(
    "0000003a 0004 0001 0000002e"
    " 2ab601b1 07bd01b3 59032aba01bb000053 59042aba01c0000053 59052ab400e953 59062aba01c5000053 b801cbb1"
)
"""``close`` of 5.0.0-2.2 as javac made it, from the attribute's length on."""
CLOSES_THE_CLIENT = bytes.fromhex(
    "00000042 0004 0001 00000036"
    " 2ab601b1 08bd01b3 59032aba01bb000053 59042aba01c0000053 59052ab400e953 59062aba01c5000053"
    " 0059072ab4027a53 b801cbb1"
)


def jar(folder: Path, writer: bytes) -> Path:
    made = folder / "flink-sql-connector-kafka-5.0.0-2.2.jar"
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0")
        archive.writestr(kafka_connector.WRITER, writer)
    return made


def test_the_client_is_closed_with_the_rest_and_no_other_byte_changes(tmp_path: Path) -> None:
    mended = kafka_connector.close_leak(jar(tmp_path, b"head" + CLOSE + b"tail"))

    assert [file.name for file in tmp_path.iterdir()] == ["flink-sql-connector-kafka-5.0.0-2.2-headrace.jar"]
    with zipfile.ZipFile(mended) as archive:
        assert archive.read("META-INF/MANIFEST.MF") == b"Manifest-Version: 1.0"
        assert archive.read(kafka_connector.WRITER) == b"head" + CLOSES_THE_CLIENT + b"tail"


@pytest.mark.parametrize("writer", [b"another", CLOSES_THE_CLIENT, CLOSE + CLOSE])
def test_another_class_is_refused_and_its_jar_stays(tmp_path: Path, writer: bytes) -> None:
    made = jar(tmp_path, writer)
    with pytest.raises(UnknownClass, match=r"close\(\)"):
        kafka_connector.close_leak(made)
    assert list(tmp_path.iterdir()) == [made]


def test_the_installed_connector_is_the_mended_one() -> None:
    (installed,) = (runtimes.home() / "flink" / "lib").glob("flink-sql-connector-kafka-*.jar")
    with zipfile.ZipFile(installed) as archive:
        assert archive.read(kafka_connector.WRITER).count(CLOSES_THE_CLIENT[4:]) == 1
