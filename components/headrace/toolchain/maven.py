"""Jars and the PostgreSQL archive by Maven: versions in poms/pom.xml, contents in poms/checksums.sha256."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from . import places
from .console import Step, StepFailed

POM = places.POMS / "pom.xml"
CHECKSUMS = places.POMS / "checksums.sha256"


def pins() -> list[Path]:
    """Every file that says what is fetched."""
    return [*places.POMS.rglob("pom.xml"), CHECKSUMS]


def fetch(output: Path, step: Step) -> None:
    """Fetch everything into `output`, a folder for each module of the pom, and check it.

    Raises:
        StepFailed: Maven failed, or a file is not the one that was locked.
    """
    _copy(output, step)
    if wrong := differences(output, CHECKSUMS.read_text()):
        listed = "".join(f"\n    {line}" for line in wrong)
        raise StepFailed(f"{step.name}: what came is not what is locked in {CHECKSUMS}:{listed}")


def write_checksums(step: Step) -> None:
    """Lock what Maven brings for today's pom.

    Raises:
        StepFailed: with Maven's output.
    """
    with tempfile.TemporaryDirectory() as scratch:
        _copy(Path(scratch), step)
        lines = [f"{checksum}  {name}\n" for name, checksum in sorted(_checksums(Path(scratch)).items())]
    CHECKSUMS.write_text("".join(lines))


def differences(folder: Path, locked: str) -> list[str]:
    """What `folder` has otherwise than a list in the format of ``sha256sum`` says, a line for each file."""
    wanted = {name: checksum for checksum, _, name in (line.partition("  ") for line in locked.splitlines())}
    found = _checksums(folder)
    return [
        *(f"{name}: not locked" for name in sorted(found.keys() - wanted.keys())),
        *(f"{name}: did not come" for name in sorted(wanted.keys() - found.keys())),
        *(
            f"{name}: sha256 {found[name]}, locked {wanted[name]}"
            for name in sorted(found.keys() & wanted.keys())
            if found[name] != wanted[name]
        ),
    ]


def _copy(output: Path, step: Step) -> None:
    # -C: a file whose checksum is not the registry's ends the build, where Maven would only warn.
    step.run(
        "mvn", "--batch-mode", "--strict-checksums", "--file", POM,
        f"-Dheadrace.output={output}", "dependency:copy-dependencies",
    )  # fmt: skip


def _checksums(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }
