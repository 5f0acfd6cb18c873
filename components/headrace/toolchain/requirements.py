"""What the machine must have before anything is changed, and the command that installs what it lacks."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

from . import jdk

PYTHON = (3, 11)
JAVA = 17
GO = (1, 21)
"""The oldest Go that fetches the release which a go.mod asks for by itself."""


@dataclass(frozen=True)
class Needs:
    """What is still to be fetched or built, and so which tools are needed for it."""

    maven: bool
    go: bool


@dataclass(frozen=True)
class Missing:
    """A thing the machine lacks."""

    what: str
    found: str
    """What is there instead, or ``not found``."""
    debian: tuple[str, ...] = ()
    """Packages that bring it; none where no package does."""
    fedora: tuple[str, ...] = ()
    note: str = ""


def missing(needs: Needs) -> list[Missing]:
    """Everything that is missing, in the order in which a person would want to read it."""
    checks = [_platform(), _python(), *_python_modules(), _java(), _user_namespaces()]
    if needs.maven:
        checks.append(_maven())
    if needs.go:
        checks.append(_go())
    return [lack for lack in checks if lack is not None]


def explain(lacks: list[Missing]) -> str:
    """What is missing, all of it at once, and what to run; for a person."""
    width = max(len(lack.what) for lack in lacks)
    listed = "".join(
        f"\n  {lack.what:<{width}}  {lack.found}" + (f"\n  {'':<{width}}  {lack.note}" if lack.note else "")
        for lack in lacks
    )
    count = "1 thing is" if len(lacks) == 1 else f"{len(lacks)} things are"
    return f"{count} missing on this machine, and nothing was changed:{listed}{_install_commands(lacks)}"


def _install_commands(lacks: list[Missing]) -> str:
    debian = " ".join(dict.fromkeys(package for lack in lacks for package in lack.debian))
    fedora = " ".join(dict.fromkeys(package for lack in lacks for package in lack.fedora))
    commands = {
        "debian": f"sudo apt-get install --yes {debian}" if debian else "",
        "fedora": f"sudo dnf install --assumeyes {fedora}" if fedora else "",
    }
    family = _family()
    shown = [commands[family]] if family else list(commands.values())
    lines = "".join(f"\n  {command}" for command in shown if command)
    return f"\nInstall with:{lines}\nThen run the same command again." if lines else ""


def _family() -> str | None:
    """``debian`` (Ubuntu and others too) or ``fedora``, where the machine says so."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return None
    names = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    return next((family for family in ("debian", "fedora") if family in names), None)


def _platform() -> Missing | None:
    here = f"{platform.system()} {platform.machine()}"
    return None if here == "Linux x86_64" else Missing("Linux on x86_64", f"found {here}")


def _python() -> Missing | None:
    wanted = ".".join(map(str, PYTHON))
    if sys.version_info[:2] == PYTHON:
        return None
    return Missing(
        f"Python {wanted}",
        f"this is {platform.python_version()}, and no python{wanted} is on PATH",
        debian=(f"python{wanted}", f"python{wanted}-venv"),
        fedora=(f"python{wanted}",),
        note="where the distribution has none: pyenv, or on Ubuntu the deadsnakes archive",
    )


def _python_modules() -> list[Missing]:
    """Parts of the standard library that distributions split off or builds leave out."""
    lacks = []
    if not _importable("venv") or not _importable("ensurepip"):
        lacks.append(
            Missing("Python's venv module", "not found", debian=("python3.11-venv",), fedora=("python3.11",))
        )
    if not _importable("_lzma"):
        note = "a Python built by hand needs the headers of liblzma when it is built"
        lacks.append(Missing("Python's lzma module", "not found", ("liblzma-dev",), ("xz-devel",), note))
    return lacks


def _importable(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _java() -> Missing | None:
    java = shutil.which(jdk.java())
    # A JDK 17 is in every supported Debian and Ubuntu but the newest Debian, which starts at 21.
    lack = Missing(
        f"JDK {JAVA} or newer",
        "not found",
        debian=("openjdk-21-jdk-headless" if _debian_version() >= 13 else "openjdk-17-jdk-headless",),
        fedora=("java-21-openjdk-devel",),
    )
    if java is None:
        return lack
    text = _output(java, "-version")
    version = re.search(r'version "(?:1\.)?(\d+)', text)
    if version and int(version[1]) >= JAVA:
        return None
    return Missing(
        lack.what, f"{java} is {text.splitlines()[0] if text else 'no JDK'}", lack.debian, lack.fedora
    )


def _debian_version() -> int:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return 0
    version = release.get("VERSION_ID", "").split(".")[0]
    return int(version) if release.get("ID") == "debian" and version.isdigit() else 0


def _maven() -> Missing | None:
    return None if shutil.which("mvn") else Missing("Maven", "not found", ("maven",), ("maven",))


def _go() -> Missing | None:
    what = f"Go {'.'.join(map(str, GO))} or newer"
    note = "builds the Pulumi CLI: with one on PATH, Python language host beside it, Go is not needed"
    # Debian 12's own is older.
    debian = "golang-go/bookworm-backports" if _debian_version() == 12 else "golang-go"
    go = shutil.which("go")
    if go is None:
        return Missing(what, "not found", (debian,), ("golang",), note)
    version = re.search(r"go(\d+)\.(\d+)", _output(go, "version"))
    if version and (int(version[1]), int(version[2])) >= GO:
        return None
    return Missing(what, f"{go} is {version[0] if version else 'no Go'}", (debian,), ("golang",), note)


def _user_namespaces() -> Missing | None:
    """PostgreSQL refuses to run as root; for root it runs in a user namespace, where it is not."""
    if os.geteuid() != 0:
        return None
    unshare = shutil.which("unshare")
    if unshare is None:
        return Missing("unshare (util-linux)", "not found", ("util-linux",), ("util-linux",))
    command = [unshare, "--user", "--map-user=70", "--map-group=70", "true"]
    if subprocess.run(command, capture_output=True, check=False).returncode == 0:
        return None
    note = "PostgreSQL refuses to run as root: run this as another user"
    return Missing("user namespaces", "not allowed on this machine", note=note)


def _output(*argv: str) -> str:
    """What a command prints, on either stream; empty where it can't be run."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stderr + done.stdout
