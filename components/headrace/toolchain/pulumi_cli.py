"""A Pulumi CLI with its Python language host: the one on PATH, else the official one, else one built here.

Whichever it is, it stands under ``<cache>/pulumi/<digest>/bin``; one from PATH as links.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

from . import places
from .console import Step, StepFailed

MINIMUM = (3, 200)
INSTALLER = "https://get.pulumi.com"
INSTALLER_TIMEOUT_SECONDS = 3.0

CLI_MODULE = places.GO_MODULES / "cli"
HOST_MODULE = places.GO_MODULES / "language-python"
CLI_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"
HOST_PACKAGE = f"{SDK_MODULE}/python/cmd/pulumi-language-python"
BESIDE_HOST = ("cmd/pulumi-language-python-exec", "dist/pulumi-resource-pulumi-python")
"""Scripts of the SDK module's ``python`` folder that the host and the engine look for beside it."""


def bin_folder() -> Path:
    """To be put on PATH; may not be there yet."""
    return _home() / "bin"


def ready() -> bool:
    """Whether both programs are there; a link to a CLI that was removed from PATH since does not count."""
    return all(os.access(bin_folder() / name, os.X_OK) for name in ("pulumi", "pulumi-language-python"))


def on_path() -> Path | None:
    """The folder of a CLI on PATH that is new enough and has its Python language host beside it."""
    found = shutil.which("pulumi")
    if found is None or Path(found).is_relative_to(places.cache()):
        return None
    folder = Path(found).resolve().parent
    complete = os.access(folder / "pulumi-language-python", os.X_OK)
    return folder if complete and _version(found) >= MINIMUM else None


def installer_reachable() -> bool:
    request = urllib.request.Request(INSTALLER, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=INSTALLER_TIMEOUT_SECONDS):  # noqa: S310 - as above
            return True
    except OSError:
        return False


def make(step: Step, *, installer: bool) -> None:
    """Find, install or build one; `installer`: whether the official one can be reached.

    Raises:
        StepFailed: with the output of the installer or of Go.
    """
    with places.built_beside(_home()) as building:
        if folder := on_path():
            _link(folder, building / "bin")
        elif installer:
            _install_or_build(step, building)
        else:
            _build(step, building / "bin")
        _check(step, building / "bin")


def _link(folder: Path, to: Path) -> None:
    to.mkdir()
    for program in folder.glob("pulumi*"):
        (to / program.name).symlink_to(program)


def _install_or_build(step: Step, root: Path) -> None:
    """A network may let the installer through and not what it downloads."""
    try:
        _install(step, root)
    except StepFailed:
        if shutil.which("go") is None:
            raise
        shutil.rmtree(root / "bin", ignore_errors=True)
        _build(step, root / "bin")


def _install(step: Step, root: Path) -> None:
    script = root / "install.sh"
    try:
        with urllib.request.urlopen(INSTALLER, timeout=30) as answer:
            script.write_bytes(answer.read())
    except OSError as error:
        raise step.failure(f"{INSTALLER} can't be read: {error}") from error
    step.run("sh", script, "--version", _pinned_version(), "--install-root", root, "--no-edit-path")
    script.unlink()


def _build(step: Step, to: Path) -> None:
    to.mkdir()
    version = f"-X {SDK_MODULE}/go/common/version.Version=v{_pinned_version()}"
    for folder, package, flags in ((HOST_MODULE, HOST_PACKAGE, ""), (CLI_MODULE, CLI_PACKAGE, version)):
        # No C compiler needed, nothing of this machine inside, no symbol tables: half the size.
        step.run(
            "go", "build", "-mod=readonly", "-trimpath", f"-ldflags=-s -w {flags}", "-o", f"{to}/", package,
            cwd=folder, env=places.GO_ENVIRONMENT,
        )  # fmt: skip
    python = _module_folder(HOST_MODULE, SDK_MODULE) / "python"
    for script in BESIDE_HOST:
        copy = to / Path(script).name
        # Where there is no environment on PATH, there may be no `python` either.
        copy.write_text(
            (python / script).read_text().replace("#!/usr/bin/env python\n", "#!/usr/bin/env python3\n")
        )
        copy.chmod(0o755)


def _module_folder(folder: Path, module: str) -> Path:
    """Where Go keeps a module's source."""
    done = subprocess.run(
        ["go", "list", "-m", "-f", "{{.Dir}}", module],
        cwd=folder, env={**os.environ, **places.GO_ENVIRONMENT}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return Path(done.stdout.strip())


def _check(step: Step, folder: Path) -> None:
    version = _version(str(folder / "pulumi"))
    if version < MINIMUM or not os.access(folder / "pulumi-language-python", os.X_OK):
        raise StepFailed(f"{step.name}: no usable pulumi with its Python language host came out of it")


def _version(pulumi: str) -> tuple[int, int]:
    done = subprocess.run(
        [pulumi, "version"],
        env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    version = re.match(r"v?(\d+)\.(\d+)", done.stdout.strip())
    return (int(version[1]), int(version[2])) if version else (0, 0)


def _pinned_version() -> str:
    """Of the CLI's module, which is also a release's: the one place is go.mod."""
    required = re.search(r"github\.com/pulumi/pulumi/pkg/v3 v(\S+)", (CLI_MODULE / "go.mod").read_text())
    if required is None:
        raise StepFailed(f"{CLI_MODULE / 'go.mod'} requires no version of the CLI")
    return required[1]


def _home() -> Path:
    return places.cache() / "pulumi" / places.digest(places.GO_MODULES.rglob("go.*"))
