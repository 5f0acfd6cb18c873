"""A stand-in for the controller of Jobs and for one node's kubelet: a Job's pod is a process of this machine.

Pods are objects of the real API server, whose admission sees them, and it asks for their logs here, as of a
node's kubelet. What runs is the container's own command, by the agents' environment of this checkout,
whatever image is named, with its files of the downward API. How a client of Kafka's logs in is left out of
the job's specification: brokers here ask nobody to. A verification is a script of the test.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from headrace.toolchain.runtimes import Runtimes
from tests.standins.flink.operator import polling
from tests.standins.kubernetes.api import Api, of
from tests.standins.place import Place
from tests.standins.protocol import Refused
from tests.standins.values import Values

NODE = "node-of-a-test"
Verify = Callable[[str], tuple[int, str]]
"""Exit status and output of a verification by an image, by a script: there is no Flink."""
Flink = Callable[[str], Mapping[str, Any] | None]
"""What a job's Flink says at a path; None: it does not answer."""


@dataclass
class Container:
    """A process and what it has said, with the times of it."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None
    status: int | None = None

    def say(self, text: str) -> None:
        for line in text.splitlines():
            self.lines.append((f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z", line))


@dataclass
class Kubelet:
    api: Api
    flink_address: str
    verify: Verify
    missing: Callable[[str], bool]
    """Whether an image can't be pulled."""
    commands: list[list[str]] = field(default_factory=list)
    """Arguments of the pods' containers."""
    _containers: dict[str, Container] = field(default_factory=dict)
    _pods: dict[str, Values] = field(default_factory=dict)

    def reconcile(self) -> None:
        jobs = {each["metadata"]["name"]: each for each in self.api.all("batch/v1", "Job")}
        for name, job in jobs.items():
            if name not in self._pods:
                self._run(name, job)
            self._tell(name)
        for name in [name for name in self._pods if name not in jobs]:
            self._end(name)

    def log(self, pod: str, lines: int) -> str:
        said = self._containers[pod].lines[-lines:]
        return "".join(f"{at} {line}\n" for at, line in said)

    def _run(self, name: str, job: Values) -> None:
        template = job["spec"]["template"]
        (container,) = template["spec"]["containers"]
        pod = of("Pod", f"{name}-0", namespace=job["metadata"]["namespace"])
        pod["metadata"]["labels"] = {**template["metadata"]["labels"], "job-name": name}
        pod["metadata"]["annotations"] = template["metadata"]["annotations"]
        self._pods[name] = self.api.apply(pod | {"spec": {**template["spec"], "nodeName": NODE}})
        made = self._containers[pod["metadata"]["name"]] = Container()
        self.commands.append(container["args"])
        if not self.missing(container["image"]):
            threading.Thread(target=self._process, args=(made, container, template), daemon=True).start()

    def _process(self, made: Container, container: Values, template: Values) -> None:
        arguments = container["args"]
        if "verify" in arguments:
            made.status, output = self.verify(container["image"])
            made.say(output)
            return
        with tempfile.TemporaryDirectory() as folder:
            spec = self._spec(Path(folder), template)
            replaced = {"--spec=": f"--spec={spec}", "--flink=": f"--flink={self.flink_address}"}
            given = [
                next((new for begin, new in replaced.items() if each.startswith(begin)), each)
                for each in arguments[1:]
            ]
            command = [str(Runtimes.locate().agents_python), *given]
            piped: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True, **piped) as process:
                made.process = process
                assert process.stdout is not None
                for line in process.stdout:
                    made.say(line)
            made.status = process.returncode

    @staticmethod
    def _spec(folder: Path, template: Values) -> Path:
        (volume,) = (each for each in template["spec"]["volumes"] if "downwardAPI" in each)
        for item in volume["downwardAPI"]["items"]:
            annotation = item["fieldRef"]["fieldPath"].split("'")[1]
            (folder / item["path"]).write_text(template["metadata"]["annotations"][annotation])
        spec = folder / "job.json"
        known = json.loads(spec.read_text())
        known["journal"]["client_properties"] = {}
        spec.write_text(json.dumps(known))
        return spec

    def _tell(self, name: str) -> None:
        pod = self._pods[name]
        found, container = self._containers[pod["metadata"]["name"]], pod["spec"]["containers"][0]
        status: dict[str, Any] = {"name": container["name"], "image": container["image"], "imageID": ""}
        status |= {"ready": False, "restartCount": 0}
        state: dict[str, Any]
        if self.missing(container["image"]):
            phase, state = "Pending", {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
        elif found.status is None:
            phase, state = "Running", {"running": {}}
        else:
            phase = "Failed" if found.status else "Succeeded"
            state = {"terminated": {"exitCode": found.status}}
        if (pod.get("status") or {}).get("phase") == phase and phase != "Pending":
            return
        with suppress(Refused):  # its Job was removed a moment ago
            self._pods[name] = self.api.change_status(
                pod, {"phase": phase, "containerStatuses": [{**status, "state": state}]}
            )

    def _end(self, name: str) -> None:
        pod = self._pods.pop(name)
        process = self._containers[pod["metadata"]["name"]].process
        if process is not None and process.poll() is None:
            process.kill()
        self.api.remove_now(pod)

    def close(self) -> None:
        for name in list(self._pods):
            self._end(name)


@contextmanager
def node(
    place: Place, folder: Path, flink: Flink, verify: Verify, missing: Callable[[str], bool]
) -> Iterator[Kubelet]:
    """A node that runs Jobs until the block ends."""
    with closing(Api(place)) as api, _serving(_Flink, flink) as address:
        kubelet = Kubelet(api, f"http://127.0.0.1:{address}", verify, missing)
        with _serving(_Logs, kubelet.log, certificate=_certificate(folder)) as port:
            named = of("Node", NODE)
            api.apply(named)
            api.change_status(
                named,
                {
                    "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                    "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
                },
            )
            try:
                with polling(kubelet.reconcile):
                    yield kubelet
            finally:
                kubelet.close()
                api.delete(named)


@contextmanager
def _serving(
    kind: type[_Handler], answer: Callable[..., Any], certificate: Path | None = None
) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (kind,), {"asked": staticmethod(answer)}))
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    asked: Callable[..., Any]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name in the base)
        """Nothing."""

    def answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Logs(_Handler):
    """``/containerLogs/NAMESPACE/POD/CONTAINER``: the kubelet's own address of it."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        lines = parse_qs(asked.query).get("tailLines", ["1000"])[0]
        self.answer(str(self.asked(asked.path.split("/")[3], int(lines))).encode())


class _Flink(_Handler):
    def do_GET(self) -> None:
        found = self.asked(self.path)
        self.answer(json.dumps(found).encode(), 200 if found is not None else 503)


def _certificate(folder: Path) -> Path:
    """A key and its own word for it, in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NODE)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "kubelet.pem"
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file.write_bytes(
        key.private_bytes(encoding, form, serialization.NoEncryption()) + made.public_bytes(encoding)
    )
    return file
