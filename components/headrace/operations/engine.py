"""Running the Pulumi engine on a stack: state, passphrase and plugins all belong to the stack's folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from headrace.errors import HeadraceError
from headrace.local.files import StackFiles
from headrace.local.processes import SESSION_MARKER
from headrace.local.secrets import ensure_password
from headrace.provider.positions import KEPT
from headrace.toolchain.runtimes import Runtimes

PASSPHRASE = "pulumi.passphrase"


class EngineFailed(HeadraceError):
    """The engine ended with an error, which it has printed itself."""


@dataclass(frozen=True)
class Engine:
    """Pulumi's CLI for one stack of the project in `project`, declared in the file `declaration`."""

    stack: str
    project: Path
    declaration: Path
    files: StackFiles
    runtimes: Runtimes

    def environment(self) -> dict[str, str]:
        """Variables that make the CLI self-contained: local state, no questions, our plugins."""
        path = os.pathsep.join(
            [str(Path(sys.executable).parent), str(self.runtimes.pulumi_bin), os.environ["PATH"]]
        )
        return {
            "PATH": path,
            "PULUMI_BACKEND_URL": f"file://{self.files.pulumi}",
            "PULUMI_HOME": str(self.files.pulumi / "home"),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.files.secret(PASSPHRASE)),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # The Python environment has the SDKs of AWS and Kubernetes, so the engine would fetch their
            # providers, hundreds of megabytes into each stack; on this machine ours is the only one in use.
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }

    def _environment(self) -> dict[str, str]:
        # A person's own settings (another backend, stack or passphrase) are not for this stack.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
        return inherited | self.environment() | {SESSION_MARKER: str(self.files.root.resolve())}

    def select(self) -> None:
        """Make the state backend and the stack where they are missing, and hand over the declaration."""
        self._project.mkdir(parents=True, exist_ok=True)
        ensure_password(self.files.secret(PASSPHRASE))
        self._write_project()
        self._quiet("stack", "select", self.stack, "--create")

    def up(self) -> None:
        self._watched("up", "--yes", "--skip-preview", "--refresh", "--stack", self.stack)

    def preview(self) -> None:
        self._watched("preview", "--refresh", "--diff", "--stack", self.stack)

    def destroy(self) -> None:
        """Remove every resource; what is data stays, and where connectors are is removed."""
        self._destroy({})

    def stop(self) -> None:
        """The same, and where connectors are stays, too."""
        self._destroy(KEPT)

    def _destroy(self, more: Mapping[str, str]) -> None:
        arguments = ("destroy", "--yes", "--skip-preview", "--stack", self.stack)
        watched(self._project, {**self._environment(), **more}, *arguments)

    def clear_interrupted(self) -> None:
        """Undo what a killed engine left in the state: its lock, and creates that it never heard the end of.

        Only for who holds the stack's session lock: then no other command of ours works on this state.

        Raises:
            HeadraceError: a `pulumi` that somebody runs by hand does.
        """
        clear_locks(self.files.pulumi / ".pulumi" / "locks")
        state = self.export()
        if state.get("deployment", {}).pop("pending_operations", None):
            # Creates adopt what exists, so there is nothing to ask about them.
            self._quiet("stack", "import", "--stack", self.stack, stdin=json.dumps(state))

    def export(self) -> dict[str, Any]:
        """The stack's state, as `pulumi stack export` gives it."""
        return dict(json.loads(self._quiet("stack", "export", "--stack", self.stack)))

    @property
    def _project(self) -> Path:
        """The project as the engine sees it: not the checkout's, since the engine writes into it (a salt)."""
        return self.files.pulumi / "project"

    def _write_project(self) -> None:
        project = yaml.safe_load((self.project / "Pulumi.yaml").read_text())
        project |= {
            "main": str(self.project / project["main"]),
            "runtime": {"name": "python", "options": {"virtualenv": sys.prefix}},
            "plugins": {"providers": [{"name": "headrace-local", "path": str(Path(sys.executable).parent)}]},
        }
        del project["stackConfigDir"]
        (self._project / "Pulumi.yaml").write_text(yaml.safe_dump(project))
        config = self._project / f"Pulumi.{self.stack}.yaml"
        salt = yaml.safe_load(config.read_text()).get("encryptionsalt") if config.exists() else None
        text = self.declaration.read_text().rstrip() + "\n"
        config.write_text(text + (f"encryptionsalt: {salt}\n" if salt else ""))

    def _quiet(self, *arguments: str, stdin: str | None = None) -> str:
        return quiet(self._project, self._environment(), *arguments, stdin=stdin)

    def _watched(self, *arguments: str) -> None:
        watched(self._project, self._environment(), *arguments)


def quiet(project: Path, environment: Mapping[str, str], *arguments: str, stdin: str | None = None) -> str:
    """What a command of Pulumi's CLI prints.

    Raises:
        EngineFailed: it ended with an error, which is told.
    """
    done = subprocess.run(
        ["pulumi", "--non-interactive", *arguments],
        cwd=project,
        env=environment,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EngineFailed(f"pulumi {' '.join(arguments)}: {done.stderr or done.stdout}")
    return done.stdout


def watched(project: Path, environment: Mapping[str, str], *arguments: str) -> None:
    """Run in the foreground; an interrupt reaches the engine too: it ends in order and is waited for.

    Raises:
        EngineFailed: it ended with an error.
    """
    process = subprocess.Popen(["pulumi", *arguments], cwd=project, env=environment)
    while True:
        try:
            code = process.wait()
            break
        except KeyboardInterrupt:
            continue
    if code:
        raise EngineFailed(
            f"pulumi {arguments[0]} ended with {code}; run the same command again to go on from there"
        )


def clear_locks(folder: Path) -> None:
    """Remove the locks of engines that are gone.

    Raises:
        HeadraceError: the holder of one lives.
    """
    for lock in folder.rglob("*.json"):
        holder = int(json.loads(lock.read_text())["pid"])
        if _is_pulumi(holder):
            raise HeadraceError(
                f"pulumi (pid {holder}) works on this stack's state; wait for it. Nothing was changed"
            )
        lock.unlink()


def _is_pulumi(pid: int) -> bool:
    """After a reboot a dead engine's pid may be any process's: a lock must not outlive its holder so."""
    try:
        return psutil.Process(pid).name() == "pulumi"
    except psutil.NoSuchProcess:
        return False
