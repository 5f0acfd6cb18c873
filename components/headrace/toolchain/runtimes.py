"""The runtimes of the local substrate: where they are, and how they get there.

They stand in the cache under the digest of everything that decides their content, complete or not at
all, so that checkouts with the same pins share them and an interrupted setup can be run again.
"""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from . import (
    debezium_connector,
    environments,
    flink_home,
    kafka_broker,
    kafka_connector,
    maven,
    msk_login,
    places,
    pulumi_cli,
)
from .console import Step


class MissingRuntime(Exception):
    """Something that setup installs is not there; the message names it and the command to run."""


@dataclass(frozen=True)
class Runtimes:
    """Absolute paths of everything that is run."""

    kafka: Path
    """Jars of the broker, its tools and Kafka Connect."""
    connect_plugins: Path
    """For ``plugin.path``: a folder for each plugin."""
    other_plugins: Path
    """The same, of databases that are not captured on this machine: for MSK Connect alone."""
    s3proxy: Path
    """Jars."""
    postgres: Path
    """With ``bin``, ``lib``, ``share``."""
    flink: Path
    """Flink's home."""
    agents_python: Path
    """Interpreter of the agents' environment."""
    pulumi_bin: Path
    """Folder with ``pulumi`` and its Python language host, to be put on PATH."""

    @classmethod
    def locate(cls) -> Runtimes:
        """The runtimes of this checkout's pins.

        Raises:
            MissingRuntime: one of them is not installed, or not in today's version.
        """
        lacks = [environment.name for environment in environments.ENVIRONMENTS if not environment.ready()]
        lacks += [] if ready() else ["runtimes"]
        lacks += [] if pulumi_cli.ready() else ["Pulumi CLI"]
        if lacks:
            raise MissingRuntime(
                f"not installed, or older than this checkout: {', '.join(lacks)}; run: {places.SETUP_COMMAND}"
            )
        root = home()
        return cls(
            kafka=root / "kafka",
            connect_plugins=root / "connect-plugins",
            other_plugins=root / "other-plugins",
            s3proxy=root / "s3proxy",
            postgres=root / "postgres",
            flink=root / "flink",
            agents_python=environments.AGENTS.python,
            pulumi_bin=pulumi_cli.bin_folder(),
        )


def home() -> Path:
    """Folder of the runtimes for today's pins, whether it is there or not."""
    return places.cache() / "runtimes" / _digest()


def ready() -> bool:
    return home().is_dir()


def make(step: Step, agents: Future[None] | None) -> None:
    """Fetch and put together.

    Args:
        step: for the output.
        agents: done when the agents' environment is made, which carries Flink; None where it is there.

    Raises:
        StepFailed: Maven failed, or something came that is not what was locked.
    """
    with places.built_beside(home()) as building:
        fetched = building / "fetched"
        maven.fetch(fetched, step)
        (fetched / "kafka").rename(building / "kafka")
        (metadata,) = (building / "kafka").glob("kafka-metadata-*.jar")
        kafka_broker.keep_markers(metadata)
        (fetched / "s3proxy").rename(building / "s3proxy")
        for folder, kinds in (("connect-plugins", ("postgres",)), ("other-plugins", ("mysql", "mariadb"))):
            (building / folder).mkdir()
            for kind in kinds:
                name = debezium_connector.plugin_folder(kind)
                plugin = (fetched / name).rename(building / folder / name)
                debezium_connector.add(plugin, kind, building / "kafka", step)
        _extract_postgres(fetched / "postgres", building / "postgres")
        if agents:
            agents.result()
        (connector,) = (fetched / "flink").glob("flink-sql-connector-kafka-*.jar")
        kafka_connector.close_leak(connector)
        (library,) = (fetched / "flink").glob("aws-msk-iam-auth-*.jar")
        msk_login.relocate(library)
        flink_home.assemble(_pyflink(), fetched / "flink", building / "flink")
        shutil.rmtree(fetched)


def _extract_postgres(folder: Path, to: Path) -> None:
    (jar,) = folder.glob("*.jar")
    with zipfile.ZipFile(jar) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".txz"))
        with archive.open(name) as packed, tarfile.open(fileobj=packed, mode="r:xz") as files:
            files.extractall(to, filter="data")


def _pyflink() -> Path:
    (package,) = environments.AGENTS.folder.glob("lib/python*/site-packages/pyflink")
    return package


def _digest() -> str:
    flink = [
        line for line in environments.AGENTS.lock.read_text().splitlines() if line.startswith("apache-flink")
    ]
    modules = (
        "class_files",
        "debezium_connector",
        "flink_home",
        "kafka_broker",
        "kafka_connector",
        "msk_login",
    )
    how = [
        *(places.TOOLCHAIN / f"{name}.py" for name in ("runtimes", *modules)),
        *debezium_connector.sources(),
    ]
    return places.digest([*maven.pins(), *how], *flink)
