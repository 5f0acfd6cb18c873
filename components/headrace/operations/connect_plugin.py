"""The plugin for MSK Connect: a zip of the pinned Debezium, by engine, and AWS's configuration providers.

AWS publishes the providers (msk-config-providers) as a jar beside the releases of their source, and in no
package registry: it is a file that is given, with its checksum.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.environment.engines import ENGINES, Engine
from headrace.errors import HeadraceError
from headrace.plan.aws.kafka import PLUGIN_FOLDERS, SECRETS_PROVIDER
from headrace.toolchain import Runtimes
from headrace.toolchain.debezium_connector import JAR
from headrace.toolchain.maven import CHECKSUMS

OF_THE_WORKER = ("connect-api-", "kafka-clients-", "slf4j-api-", "lz4-java-", "snappy-java-", "zstd-jni-")
"""What a worker of Kafka Connect has, in its own version: it takes none of them from a plugin."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first date that a zip can tell."""
MODE, UNIX = 0o100644 << 16, 3


@dataclass(frozen=True, kw_only=True)
class Providers:
    """The jar with AWS's providers and all that it needs (``msk-config-providers-VERSION-all.jar``).

    Raises:
        HeadraceError: it is not there, is another one than its checksum says, or has not the plan's provider.
    """

    jar: Path
    sha256: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise HeadraceError(f"--sha256: given {self.sha256!r}; allowed: 64 hexadecimal digits")
        if not self.jar.is_file():
            raise HeadraceError(f"--providers: given {self.jar}, which is not there; allowed: a jar")
        if (found := _sha256(self.jar)) != self.sha256:
            raise HeadraceError(
                f"{self.jar}: given SHA-256 {found}; allowed: the one that is named, {self.sha256}"
            )
        if not zipfile.is_zipfile(self.jar):
            raise HeadraceError(
                f"{self.jar}: given a file that is no jar; allowed: AWS's msk-config-providers"
            )
        with zipfile.ZipFile(self.jar) as archive:
            if f"{SECRETS_PROVIDER.replace('.', '/')}.class" not in archive.namelist():
                raise HeadraceError(
                    f"{self.jar}: given a jar without {SECRETS_PROVIDER}; allowed: AWS's msk-config-providers"
                )


@dataclass(frozen=True)
class Built:
    archive: Path
    sha256: str

    def as_json(self) -> dict[str, str]:
        return {"archive": str(self.archive), "sha256": self.sha256}


def engines_of(names: Sequence[str]) -> tuple[Engine, ...]:
    """The engines of these names, each once.

    Raises:
        HeadraceError: there is none of such a name.
    """
    if unknown := [name for name in names if name not in ENGINES]:
        raise HeadraceError(f"--engine: given {', '.join(unknown)}; allowed: {', '.join(ENGINES)}")
    return tuple(engine for engine in ENGINES if engine in names)


def build_plugin(providers: Providers, archive: Path, engines: Collection[Engine]) -> Built:
    """Write the zip, with the connector of each engine; the same jars give the same bytes on every machine.

    Raises:
        HeadraceError: a jar of Debezium is not the one that is locked, or the archive can't be written.
        MissingRuntime: Debezium is not installed.
    """
    runtimes = Runtimes.locate()
    entries = {f"config-providers/{providers.jar.name}": providers.jar}
    for engine in engines:
        plugins = runtimes.connect_plugins if engine == "postgresql" else runtimes.other_plugins
        name = PLUGIN_FOLDERS[engine]
        jars = pinned_jars(plugins / name, locked(CHECKSUMS.read_text(), name))
        entries |= {f"{name}/{jar.name}": jar for jar in [*jars, plugins / name / JAR]}
    try:
        write_archive(entries, archive)
    except OSError as refused:
        raise HeadraceError(
            f"{archive}: {refused.strerror or refused}; allowed: a file that can be written"
        ) from refused
    return Built(archive, _sha256(archive))


def locked(checksums: str, folder: str) -> dict[str, str]:
    """A folder's jars that belong into a plugin, by name, of a list in the format of ``sha256sum``."""
    lines = (line.partition("  ") for line in checksums.splitlines())
    names = {
        name.removeprefix(f"{folder}/"): digest for digest, _, name in lines if name.startswith(f"{folder}/")
    }
    return {name: digest for name, digest in names.items() if not name.startswith(OF_THE_WORKER)}


def pinned_jars(folder: Path, wanted: Mapping[str, str]) -> list[Path]:
    """The jars of `folder`, each compared with its checksum.

    Raises:
        HeadraceError: one is not there, or is another one.
    """
    for name, digest in wanted.items():
        jar = folder / name
        found = _sha256(jar) if jar.is_file() else "none"
        if found != digest:
            raise HeadraceError(
                f"{jar}: given SHA-256 {found}; allowed: the locked one, {digest}; run: make setup"
            )
    return [folder / name for name in sorted(wanted)]


def write_archive(entries: Mapping[str, Path], archive: Path) -> None:
    """A zip without times, owners and compression: nothing of it depends on the machine or its zlib."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
        for name, file in sorted(entries.items()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr, entry.create_system = MODE, UNIX
            target.writestr(entry, file.read_bytes())


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
