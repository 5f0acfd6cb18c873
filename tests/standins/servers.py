"""What stands behind the stand-ins, as processes of a test: moto, and a Kubernetes API server."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from headrace.toolchain import kubernetes_for_tests
from headrace.waiting import wait_until

START_S = 60


class ApiServer(NamedTuple):
    address: str
    token: str
    """An administrator's."""
    authority: str
    """The certificate that it made for itself, in base64."""


@contextmanager
def moto(folder: Path) -> Iterator[str]:
    """A moto server of its own, until the block ends; its address. Its output goes to `folder`."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    # With AWS's own policies, by their names: a role that is given one that AWS lacks is refused.
    with running(command, folder / "moto.log", environment={"MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}):
        wait_until("moto", lambda: answers(f"{address}/moto-api/data.json"), START_S)
        yield address


@contextmanager
def kubernetes(folder: Path) -> Iterator[ApiServer]:
    """An API server with an etcd of its own, until the block ends.

    There are no nodes and no controllers: objects are checked and kept, and nothing comes of them.
    """
    etcd, peers, port = (free_port() for _ in range(3))
    client, token = f"http://127.0.0.1:{etcd}", uuid.uuid4().hex
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokens.csv").write_text(f"{token},test,test,system:masters\n", encoding="utf-8")
    signing = folder / "signing.pem"
    signing.write_bytes(_private_key())
    store = [
        *(str(kubernetes_for_tests.etcd()), "--data-dir", str(folder / "etcd")),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", f"http://127.0.0.1:{peers}"),
        # What it holds ends with the test.
        *("--unsafe-no-fsync", "--log-level", "error"),
    ]
    server = [
        *(str(kubernetes_for_tests.kube_apiserver()), f"--etcd-servers={client}"),
        *("--bind-address=127.0.0.1", f"--secure-port={port}", f"--cert-dir={folder / 'certificates'}"),
        *(f"--token-auth-file={folder / 'tokens.csv'}", "--authorization-mode=RBAC"),
        *(
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=172.20.0.0/16",
        ),
        *(f"--service-account-key-file={signing}", f"--service-account-signing-key-file={signing}"),
    ]
    address = f"https://127.0.0.1:{port}"
    with running(store, folder / "etcd.log"), running(server, folder / "kube-apiserver.log", grace_s=0):
        wait_until("the API server", lambda: answers(f"{address}/readyz", token), START_S)
        certificate = (folder / "certificates" / "apiserver.crt").read_bytes()
        yield ApiServer(address, token, base64.b64encode(certificate).decode())


def _private_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(encoding, form, serialization.NoEncryption())


def reset(address: str) -> None:
    """Forget every account."""
    httpx.post(f"{address}/moto-api/reset", trust_env=False, timeout=START_S).raise_for_status()


@contextmanager
def running(
    command: list[str], log: Path, grace_s: float = 20, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block; killed where it has not ended within `grace_s`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*_dies_with_its_parent(), *command],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _dies_with_its_parent() -> list[str]:
    """A prefix after which a killed test leaves no server behind, where the machine has the tool."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def answers(url: str, token: str = "") -> bool:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        # A server of the test's own, on loopback.
        return httpx.get(url, headers=headers, trust_env=False, timeout=5, verify=False).is_success
    except httpx.TransportError:
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
