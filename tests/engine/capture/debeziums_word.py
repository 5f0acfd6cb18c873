"""What Debezium itself says: programs beside this file, run with the jars of a plugin."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from headrace.toolchain import Runtimes

TIMEOUT_S = 120


def told_by(program: str, plugin: Path, config: Mapping[str, str], *arguments: str) -> list[list[str]]:
    """The lines with tabs that a program prints, split at these; it reads the configuration as properties."""
    done = subprocess.run(
        [
            *("java", "-cp", f"{plugin}/*:{Runtimes.locate().kafka}/*"),
            *(str(Path(__file__).with_name(program)), *arguments),
        ],
        input="".join(f"{name}={value}\n".replace("\\", "\\\\") for name, value in config.items()),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
