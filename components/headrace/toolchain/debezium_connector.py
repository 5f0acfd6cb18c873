"""Debezium's connectors, with a change of a record's key kept whole: see the Java beside.

Each is a class of its own over Debezium's, in a jar beside theirs, so that theirs stays what was locked.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import places
from .console import Step
from .jdk import java

SOURCES = places.TOOLCHAIN / "debezium"
COMMON = SOURCES / "common"
JAR = "headrace-debezium.jar"
RELEASE = "17"
"""Of Java: the oldest that Debezium runs on."""


def plugin_folder(kind: str) -> str:
    """Of a kind of database, as sources are written here: `postgres`, `mysql`, `mariadb`."""
    return f"debezium-{kind}"


def sources() -> list[Path]:
    """All that the jars are made of."""
    return sorted(path for path in SOURCES.rglob("*") if path.is_file())


def add(plugin: Path, kind: str, kafka: Path, step: Step) -> None:
    """Compile that of `kind` against the jars of `plugin` and `kafka`, into `plugin`.

    Raises:
        StepFailed: with the compiler's output.
    """
    classes = plugin / ".classes"
    class_path = os.pathsep.join((f"{plugin}/*", f"{kafka}/*"))
    tools = Path(java()).parent
    written = [*COMMON.rglob("*.java"), *(SOURCES / kind).rglob("*.java")]
    compiled = ("--release", RELEASE, "-proc:none", "-cp", class_path, "-d", str(classes))
    step.run(tools / "javac", *compiled, *written)
    # Without dates, so that the same sources make the same bytes.
    packed = ("--create", "--date=1980-01-01T00:00:02Z", "--file", str(plugin / JAR))
    step.run(tools / "jar", *packed, "-C", classes, ".", "-C", SOURCES / kind, "META-INF")
    shutil.rmtree(classes)
