"""Which Java is run: one choice for the check of the machine and for every process."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ON_PATH = "java"


def java() -> str:
    """Command of the Java that Flink's scripts choose: ``JAVA_HOME/bin/java`` where set, else PATH's.

    The one on PATH is ``java`` even where JAVA_HOME names it too: with or without the variable a
    process's command stays the same. Nothing is said about whether it exists.
    """
    home = os.environ.get("JAVA_HOME")
    if not home:
        return ON_PATH
    chosen, on_path = Path(home) / "bin" / "java", shutil.which(ON_PATH)
    same = on_path is not None and chosen.exists() and chosen.samefile(on_path)
    return ON_PATH if same else str(chosen)
