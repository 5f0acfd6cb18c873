"""kube-apiserver and etcd, built from their Go modules: tests apply objects to a real API server.

They stand under ``<cache>/kubernetes/<digest>/bin``. Nothing but tests needs them.
"""

from __future__ import annotations

import os
from pathlib import Path

from . import places
from .console import Step

MODULE = places.TOOLCHAIN / "kubernetes"
ETCD_PACKAGE = "go.etcd.io/etcd/server/v3"
SERVER_PACKAGE = "k8s.io/kubernetes/cmd/kube-apiserver"


def etcd() -> Path:
    return _home() / "bin" / "etcd"


def kube_apiserver() -> Path:
    return _home() / "bin" / "kube-apiserver"


def ready() -> bool:
    return all(os.access(program, os.X_OK) for program in (etcd(), kube_apiserver()))


def make(step: Step) -> None:
    """Build both.

    Raises:
        StepFailed: with Go's output.
    """
    with places.built_beside(_home()) as building:
        (building / "bin").mkdir()
        for package, program in ((ETCD_PACKAGE, "etcd"), (SERVER_PACKAGE, "kube-apiserver")):
            step.run(
                "go", "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w",
                "-o", building / "bin" / program, package,
                cwd=MODULE, env=places.GO_ENVIRONMENT,
            )  # fmt: skip


def _home() -> Path:
    return places.cache() / "kubernetes" / places.digest(MODULE.glob("go.*"))
