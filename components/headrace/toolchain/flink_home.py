"""A Flink home for a standalone cluster, put together from the pyflink package and a few jars."""

from __future__ import annotations

import shutil
from pathlib import Path

COPIED = ("bin", "conf", "lib", "opt", "licenses")
PLUGINS = {"s3-fs-native": "flink-s3-fs-native-*.jar", "metrics-prometheus": "flink-metrics-prometheus-*.jar"}
"""Folder below ``plugins/`` and the jar in it: Flink gives each plugin a class loader of its own."""


def assemble(pyflink: Path, jars: Path, home: Path) -> None:
    """Write a complete home to `home`; both inputs are only read.

    Args:
        pyflink: the installed package, which carries Flink's own distribution.
        jars: the connector, the library that logs it in to MSK, and plugins, as fetched.
        home: made where it is not there; what is in it is written over.
    """
    for part in COPIED:
        shutil.copytree(pyflink / part, home / part, dirs_exist_ok=True)
    for script in (home / "bin").glob("*.sh"):
        # Wheels do not always carry the bit.
        script.chmod(0o755)
    (home / "bin" / "flink").chmod(0o755)
    # A job's Python operators run in the TaskManager, which loads lib/ alone; the client looks in opt/.
    _copy_one(home / "opt", "flink-python-*.jar", home / "lib")
    for jar in ("flink-sql-connector-kafka-*.jar", "aws-msk-iam-auth-*.jar"):
        _copy_one(jars, jar, home / "lib")
    for plugin, pattern in PLUGINS.items():
        _copy_one(jars, pattern, home / "plugins" / plugin)
    (home / "log").mkdir(exist_ok=True)


def _copy_one(folder: Path, pattern: str, to: Path) -> None:
    (jar,) = folder.glob(pattern)
    to.mkdir(parents=True, exist_ok=True)
    shutil.copy2(jar, to / jar.name)
