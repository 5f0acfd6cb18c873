"""Debezium's connector for PostgreSQL, with a change of a record's key kept whole: see the Java beside.

It is a class of its own over Debezium's, in a jar beside theirs, so that theirs stays what was locked.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import places
from .console import Step
from .jdk import java

SOURCES = places.TOOLCHAIN / "debezium"
JAR = "headrace-debezium.jar"
RELEASE = "17"
"""Of Java: the oldest that Debezium runs on."""


def sources() -> list[Path]:
    """All that the jar is made of."""
    return sorted(path for path in SOURCES.rglob("*") if path.is_file())


def add(plugin: Path, kafka: Path, step: Step) -> None:
    """Compile it against the jars of `plugin` and `kafka`, into `plugin`.

    Raises:
        StepFailed: with the compiler's output.
    """
    classes = plugin / ".classes"
    class_path = os.pathsep.join((f"{plugin}/*", f"{kafka}/*"))
    tools = Path(java()).parent
    compiled = ("--release", RELEASE, "-proc:none", "-cp", class_path, "-d", str(classes))
    step.run(tools / "javac", *compiled, *SOURCES.rglob("*.java"))
    # Without dates, so that the same sources make the same bytes.
    packed = ("--create", "--date=1980-01-01T00:00:02Z", "--file", str(plugin / JAR))
    step.run(tools / "jar", *packed, "-C", classes, ".", "-C", SOURCES, "META-INF")
    shutil.rmtree(classes)
