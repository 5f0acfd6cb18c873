"""This checkout with an earlier Flink, set up in a folder of its own: as it was before Flink's step up."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.pipeline.stack import ROOT

EARLIER = "2.2.1"
AGENTS = Path("agent_jobs", "pyproject.toml")
TOOLCHAIN = Path("components", "headrace", "toolchain")
POM, FLINK_POM = TOOLCHAIN / "poms" / "pom.xml", TOOLCHAIN / "poms" / "flink" / "pom.xml"
ALONE = "<artifactId>flink-s3-fs-native</artifactId>\n      <version>"
"""The first release with this file system is 2.3.0, and that one works with Flink 2.2, too."""


def checkout_with_earlier_flink(folder: Path) -> Path:
    """Copies what is in the checkout, committed or not; everything but Flink stays at its pin."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    now = _one(r"apache-flink==([\d.]+)", (folder / AGENTS).read_text())
    _change(folder / AGENTS, f"apache-flink=={now}", f"apache-flink=={EARLIER}")
    _change(folder / POM, f"<flink.version>{now}<", f"<flink.version>{EARLIER}<")
    _change(folder / FLINK_POM, f"{ALONE}${{flink.version}}<", f"{ALONE}{now}<")
    for command in ("lock", "setup"):
        subprocess.run([sys.executable, str(TOOLCHAIN), command], cwd=folder, check=True)
    return folder


def _one(pattern: str, text: str) -> str:
    (found,) = re.findall(pattern, text)
    return str(found)


def _change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, f"{file}: {old}"
    file.write_text(text.replace(old, new))
