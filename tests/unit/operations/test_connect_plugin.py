"""The plugin for MSK Connect: the same jars give the same bytes, and it holds what it must and no more."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from headrace.aws import Plugin
from headrace.environment.engines import Engine
from headrace.errors import HeadraceError
from headrace.operations import connect_plugin
from headrace.operations.connect_plugin import (
    Providers,
    build_plugin,
    engines_of,
    locked,
    pinned_jars,
    write_archive,
)
from headrace.plan.aws.kafka import PLUGIN_FOLDERS, SECRETS_PROVIDER
from headrace.toolchain.debezium_connector import JAR
from headrace.toolchain.maven import CHECKSUMS

BYTES = "63ed0763a85a8e54a9f5eebb593a8a40383b363a2f2997c58071d7cb129bcf6c"
ALLOWED = "AWS's msk-config-providers"
POSTGRESQL: tuple[Engine, ...] = ("postgresql",)
CLASS = f"{SECRETS_PROVIDER.replace('.', '/')}.class"


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def jar(file: Path, entry: str = CLASS) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(entry, b"\xca\xfe\xba\xbe")
    return file


@pytest.fixture
def providers(tmp_path: Path) -> Providers:
    file = jar(tmp_path / "msk-config-providers-0.4.0-all.jar")
    return Providers(jar=file, sha256=sha256(file))


@pytest.fixture
def debezium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runtimes with two jars of Debezium and one of the worker's own, and checksums that are theirs."""
    folder = tmp_path / "plugins" / "debezium-postgres"
    folder.mkdir(parents=True)
    for name in ("debezium-connector-postgres-1.jar", "postgresql-1.jar", "kafka-clients-1.jar"):
        (folder / name).write_bytes(name.encode())
    checksums = tmp_path / "checksums.sha256"
    checksums.write_text(
        "".join(f"{sha256(each)}  debezium-postgres/{each.name}\n" for each in folder.iterdir())
    )
    monkeypatch.setattr(connect_plugin, "CHECKSUMS", checksums)
    (folder / JAR).write_bytes(b"compiled at setup")

    class Located:
        connect_plugins = folder.parent
        other_plugins = tmp_path / "others"

        @classmethod
        def locate(cls) -> type[Located]:
            return cls

    monkeypatch.setattr(connect_plugin, "Runtimes", Located)
    return folder


def test_the_same_jars_give_the_same_bytes(debezium: Path, providers: Providers, tmp_path: Path) -> None:
    first = build_plugin(providers, tmp_path / "first.zip", POSTGRESQL)
    for file in debezium.iterdir():
        os.utime(file, (0, 0))
        file.chmod(0o600)
    second = build_plugin(providers, tmp_path / "second.zip", POSTGRESQL)
    assert first.archive.read_bytes() == second.archive.read_bytes()
    assert first.sha256 == second.sha256 == sha256(second.archive)


def test_bytes_are_those_that_are_written_down(tmp_path: Path) -> None:
    """Whatever the machine, its clock and its zlib."""
    content = tmp_path / "a.jar"
    content.write_bytes(b"content")
    write_archive({"folder/a.jar": content}, tmp_path / "a.zip")
    assert sha256(tmp_path / "a.zip") == BYTES


def test_another_jar_gives_other_bytes(debezium: Path, tmp_path: Path) -> None:
    built = []
    for entry in ("one", "two"):
        file = jar(tmp_path / "providers.jar")
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(entry, b"")
        built.append(
            build_plugin(
                Providers(jar=file, sha256=sha256(file)), tmp_path / f"{entry}.zip", POSTGRESQL
            ).sha256
        )
    assert built[0] != built[1]


def test_it_holds_debezium_and_the_providers_and_nothing_of_the_worker(
    debezium: Path, providers: Providers, tmp_path: Path
) -> None:
    with zipfile.ZipFile(build_plugin(providers, tmp_path / "plugin.zip", POSTGRESQL).archive) as archive:
        assert archive.namelist() == [
            "config-providers/msk-config-providers-0.4.0-all.jar",
            "debezium-postgres/debezium-connector-postgres-1.jar",
            f"debezium-postgres/{JAR}",
            "debezium-postgres/postgresql-1.jar",
        ]
        assert archive.testzip() is None
        assert archive.read("debezium-postgres/postgresql-1.jar") == b"postgresql-1.jar"


def test_it_holds_the_connectors_of_the_named_engines_alone(
    debezium: Path, providers: Providers, tmp_path: Path
) -> None:
    folder = tmp_path / "others" / "debezium-mysql"
    folder.mkdir(parents=True)
    for name in ("mysql-connector-j-1.jar", JAR):
        (folder / name).write_bytes(name.encode())
    checksums = tmp_path / "checksums.sha256"
    checksums.write_text(
        f"{checksums.read_text()}{sha256(folder / 'mysql-connector-j-1.jar')}"
        "  debezium-mysql/mysql-connector-j-1.jar\n"
    )
    with zipfile.ZipFile(build_plugin(providers, tmp_path / "plugin.zip", ["mysql"]).archive) as archive:
        assert archive.namelist() == [
            "config-providers/msk-config-providers-0.4.0-all.jar",
            f"debezium-mysql/{JAR}",
            "debezium-mysql/mysql-connector-j-1.jar",
        ]
    built = build_plugin(providers, tmp_path / "both.zip", ("postgresql", "mysql"))
    both = Plugin(archive=built.archive, sha256=built.sha256)
    assert [engine for engine in PLUGIN_FOLDERS if both.captures(engine)] == ["postgresql", "mysql"]


def test_engines_are_taken_by_their_names_once_each() -> None:
    assert engines_of(["mysql", "postgresql", "mysql"]) == ("postgresql", "mysql")
    with pytest.raises(HeadraceError) as refused:
        engines_of(["oracle", "mysql"])
    assert str(refused.value) == "--engine: given oracle; allowed: postgresql, mysql, mariadb"


def test_change_capture_takes_what_was_built(debezium: Path, providers: Providers, tmp_path: Path) -> None:
    built = build_plugin(providers, tmp_path / "plugin.zip", POSTGRESQL)
    assert Plugin(archive=built.archive, sha256=built.sha256).sha256 == built.sha256


@pytest.mark.parametrize(
    ("engine", "parts"),
    [
        ("postgresql", ("debezium-connector-postgres-", "postgresql-", "protobuf-java-")),
        ("mysql", ("debezium-connector-mysql-", "mysql-connector-j-", "mysql-binlog-connector-java-")),
        ("mariadb", ("debezium-connector-mariadb-", "mariadb-java-client-", "mysql-binlog-connector-java-")),
    ],
)
def test_what_is_pinned_has_the_connector_and_its_driver_and_not_the_workers_jars(
    engine: Engine, parts: tuple[str, ...]
) -> None:
    names = locked(CHECKSUMS.read_text(), PLUGIN_FOLDERS[engine])
    for part in (*parts, "debezium-api-", "jackson-databind-"):
        assert any(name.startswith(part) for name in names), part
    assert not any(name.startswith(("kafka-clients", "connect-api", "slf4j")) for name in names)


def test_a_jar_that_is_not_the_locked_one_is_refused(
    debezium: Path, providers: Providers, tmp_path: Path
) -> None:
    (debezium / "postgresql-1.jar").write_bytes(b"another")
    with pytest.raises(
        HeadraceError,
        match=r"postgresql-1.jar: given SHA-256 .*; allowed: the locked one, .*; run: make setup",
    ):
        build_plugin(providers, tmp_path / "plugin.zip", POSTGRESQL)
    assert not (tmp_path / "plugin.zip").exists()


def test_a_jar_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HeadraceError, match="given SHA-256 none; allowed: the locked one, 0000"):
        pinned_jars(tmp_path, {"a.jar": "0" * 64})


@pytest.mark.parametrize(
    ("name", "checksum", "message"),
    [
        ("providers.jar", "abc", "--sha256: given 'abc'; allowed: 64 hexadecimal digits"),
        (
            "nowhere.jar",
            "0" * 64,
            "--providers: given {folder}/nowhere.jar, which is not there; allowed: a jar",
        ),
        (
            "providers.jar",
            "0" * 64,
            "{folder}/providers.jar: given SHA-256 {found}; allowed: the one that is named, " + "0" * 64,
        ),
        (
            "text.jar",
            None,
            f"{{folder}}/text.jar: given a file that is no jar; allowed: {ALLOWED}",
        ),
        (
            "other.jar",
            None,
            f"{{folder}}/other.jar: given a jar without {SECRETS_PROVIDER}; allowed: {ALLOWED}",
        ),
    ],
)
def test_refused(name: str, checksum: str | None, message: str, tmp_path: Path) -> None:
    jar(tmp_path / "providers.jar")
    jar(tmp_path / "other.jar", "other.class")
    (tmp_path / "text.jar").write_text("text")
    file = tmp_path / name
    found = sha256(file) if file.exists() else ""
    with pytest.raises(HeadraceError) as refused:
        Providers(jar=file, sha256=checksum or found)
    assert str(refused.value) == message.format(folder=tmp_path, found=found)


def test_a_place_that_can_not_be_written_is_refused(
    debezium: Path, providers: Providers, tmp_path: Path
) -> None:
    with pytest.raises(HeadraceError, match="allowed: a file that can be written"):
        build_plugin(providers, tmp_path / "nowhere" / "plugin.zip", POSTGRESQL)
