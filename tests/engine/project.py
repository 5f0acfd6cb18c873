"""A Pulumi project of a test: the real engine and the real provider, with small processes."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import httpx

from headrace.local.files import StackFiles
from headrace.local.supervision import Supervisor
from headrace.operations.engine import Engine
from headrace.toolchain.runtimes import Runtimes

STACK = "test"
PROGRAM = '''"""Registers what `declared.json` lists; all of it depends on the supervisor."""

import json
import signal
import time
from pathlib import Path

import pulumi

signal.signal(signal.SIGINT, signal.SIG_DFL)
PACKAGE = "headrace-local:index"
declared = json.loads((Path(__file__).parents[1] / "declared.json").read_text())
supervisor = pulumi.CustomResource(f"{PACKAGE}:Supervisor", "supervisor", {"root": declared["root"]})
for name, (kind, inputs) in declared["resources"].items():
    pulumi.CustomResource(f"{PACKAGE}:{kind}", name, inputs, pulumi.ResourceOptions(depends_on=[supervisor]))
time.sleep(declared["goes_on_s"])
'''
SERVER = """import http.server, pathlib, sys, time
port, gate = int(sys.argv[1]), pathlib.Path(sys.argv[2])
while not gate.exists():
    time.sleep(0.05)
here = pathlib.Path(__file__).parent
handler = lambda *given: http.server.SimpleHTTPRequestHandler(*given, directory=here)
http.server.ThreadingHTTPServer(("127.0.0.1", port), handler).serve_forever()
"""
"""Serves the folder of its own configuration, from the moment that the file `gate` is there."""


class Project:
    """A project in `folder` whose stack has a supervisor and what :meth:`declare` was told last."""

    def __init__(self, folder: Path) -> None:
        self.files = StackFiles(folder / "stack")
        self.folder = folder
        (folder / "program").mkdir()
        (folder / "program" / "__main__.py").write_text(PROGRAM)
        project = {"name": "small", "runtime": "python", "main": "program", "stackConfigDir": "."}
        (folder / "Pulumi.yaml").write_text(json.dumps(project))
        declaration = folder / f"Pulumi.{STACK}.yaml"
        declaration.write_text("config: {}\n")
        self.engine = Engine(STACK, folder, declaration, self.files, Runtimes.locate())
        self.supervisor = Supervisor(self.files)
        self.declare()
        self.engine.select()

    def declare(self, *, goes_on_s: float = 0, **resources: tuple[str, dict[str, Any]]) -> None:
        """Resource's name -> kind and inputs. The program then goes on for that many seconds."""
        declared = {"root": str(self.files.root), "resources": resources, "goes_on_s": goes_on_s}
        (self.folder / "declared.json").write_text(json.dumps(declared))

    def server(
        self, name: str, port: int, greeting: str = "hello", **inputs: Any
    ) -> tuple[str, dict[str, Any]]:
        """A process that answers on `port` with its file ``greeting``, and that was prepared once."""
        gate = self.files.data(name) / "prepared"
        prepare = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text('prepared')"
        return "Process", {
            "root": str(self.files.root),
            "name": name,
            "command": [sys.executable, str(self.files.etc(name) / "server.py"), str(port), str(gate)],
            "files": {"server.py": SERVER, "greeting": greeting},
            "preparation": [{"creates": str(gate), "command": [sys.executable, "-c", prepare, "{partial}"]}],
            "ports": {f"{name}'s port": port},
            "ready": {"port": port, "url": f"http://127.0.0.1:{port}/greeting", "timeout_s": 20},
        } | inputs

    def pids(self) -> dict[str, int]:
        """Of every process that the supervisor runs."""
        return {info["name"]: info["pid"] for info in self.supervisor.all() if info["pid"]}


def greeting(port: int) -> str:
    return httpx.get(f"http://127.0.0.1:{port}/greeting", trust_env=False).text


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
