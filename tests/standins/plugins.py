"""The stand-ins as the engine finds plugins, and one of them spoken to without an engine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from tests.standins.place import VARIABLE, Place
from tests.standins.values import Values, message, plain

ROOT = Path(__file__).parents[2]
NAMES = ("aws", "kubernetes")
SEED = b"a seed of a test"


def write_plugins(folder: Path) -> list[dict[str, str]]:
    """Executables for the stand-ins; what ``plugins.providers`` of a Pulumi.yaml says of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        plugin = folder / f"pulumi-resource-{name}"
        plugin.write_text(
            "#!/bin/sh\n"
            f'PYTHONPATH="{ROOT}${{PYTHONPATH:+:$PYTHONPATH}}" '
            f'exec "{sys.executable}" -m tests.standins.{name} "$@"\n'
        )
        plugin.chmod(0o755)
    return [{"name": name, "path": str(folder)} for name in NAMES]


class Plugin:
    """What the engine would ask of a provider; values are plain."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = provider_pb2_grpc.ResourceProviderStub(channel)

    def configure(self, **settings: Any) -> None:
        self._stub.Configure(provider_pb2.ConfigureRequest(args=message(settings)))

    def check(self, urn: str, new: Values, old: Values | None = None) -> tuple[Values, dict[str, str]]:
        """Inputs as the provider takes them, and what it refuses, by property."""
        answer = self._stub.Check(
            provider_pb2.CheckRequest(urn=urn, olds=message(old or {}), news=message(new), randomSeed=SEED)
        )
        return plain(answer.inputs), {each.property: each.reason for each in answer.failures}

    def diff(self, urn: str, made: str, state: Values, old: Values, new: Values) -> Any:
        """The protocol's own answer."""
        return self._stub.Diff(
            provider_pb2.DiffRequest(
                urn=urn, id=made, olds=message(state), old_inputs=message(old), news=message(new)
            )
        )

    def create(self, urn: str, inputs: Values, *, preview: bool = False) -> tuple[str, Values]:
        answer = self._stub.Create(
            provider_pb2.CreateRequest(urn=urn, properties=message(inputs), preview=preview)
        )
        return answer.id, plain(answer.properties)

    def read(self, urn: str, made: str, inputs: Values, state: Values) -> tuple[Values, Values] | None:
        answer = self._stub.Read(
            provider_pb2.ReadRequest(urn=urn, id=made, inputs=message(inputs), properties=message(state))
        )
        return (plain(answer.inputs), plain(answer.properties)) if answer.id else None

    def update(self, urn: str, made: str, state: Values, old: Values, new: Values) -> Values:
        answer = self._stub.Update(
            provider_pb2.UpdateRequest(
                urn=urn, id=made, olds=message(state), old_inputs=message(old), news=message(new)
            )
        )
        return plain(answer.properties)

    def delete(self, urn: str, made: str, inputs: Values, state: Values) -> None:
        self._stub.Delete(
            provider_pb2.DeleteRequest(
                urn=urn, id=made, old_inputs=message(inputs), properties=message(state)
            )
        )

    def invoke(self, function: str, **arguments: Any) -> Values:
        answer = self._stub.Invoke(provider_pb2.InvokeRequest(tok=function, args=message(arguments)))
        return plain(getattr(answer, "return"))


@contextmanager
def plugin(name: str, place: Place) -> Iterator[Plugin]:
    """The stand-in in a process of its own, as the engine runs it."""
    place.write()
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.standins.{name}", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, VARIABLE: str(place.folder)},
        text=True,
    )
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Plugin(channel)
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
