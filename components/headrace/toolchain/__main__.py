"""``python3 components/headrace/toolchain COMMAND``, on whatever Python 3 a machine has."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

WANTED = "python3.11"
OLDEST = (3, 10)
"""What the package can at least be read by, to say all that is missing."""


def prefer_wanted_python() -> None:
    """Start again with Python 3.11 where this is another one and 3.11 is on PATH."""
    other = shutil.which(WANTED)
    if other and "python{}.{}".format(*sys.version_info) != WANTED:
        os.execv(other, [other, *sys.argv])  # noqa: S606 - the same program, another interpreter
    if sys.version_info < OLDEST:
        sys.exit(f"headrace needs Python 3.11 with its venv module; this is {sys.version.split()[0]}")


def load_package() -> None:
    """Load this folder as a package of its own: importing `headrace` may need what is not installed yet."""
    folder = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        "toolchain", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        sys.exit(f"{folder} is not complete: check it out again")
    package = importlib.util.module_from_spec(spec)
    sys.modules["toolchain"] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    prefer_wanted_python()
    load_package()
    sys.exit(importlib.import_module("toolchain.commands").main(sys.argv[1:]))
