"""Pulumi's provider protocol for a stand-in, which sees plain values.

Pulumi's own Python layer for providers gives a diff no old inputs, and a drift is a difference of these: so
this is the protocol itself, as far as the engine uses it.
"""

from __future__ import annotations

import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from tests.standins.journal import Journal
from tests.standins.values import DEFAULTS, Values, differences, is_under, message, plain

WORKERS = 32


class Refused(Exception):
    """What the provider's user reads as the reason why it failed."""


@dataclass(frozen=True)
class Asked:
    """Which resource a call is about."""

    urn: str
    id: str = ""

    @property
    def type(self) -> str:
        return self.urn.split("::")[-2].rpartition("$")[2]

    @property
    def name(self) -> str:
        return self.urn.split("::")[-1]


@dataclass(frozen=True)
class Checked:
    inputs: Values
    failures: dict[str, str] = field(default_factory=dict)
    """By property."""


class StandIn(ABC):
    """A provider, by what it does with resources."""

    version: str
    journal: Journal

    @abstractmethod
    def configure(self, settings: Values) -> None: ...

    @abstractmethod
    def check(self, asked: Asked, old: Values, new: Values, seed: bytes) -> Checked: ...

    @abstractmethod
    def replacing(self, asked: Asked) -> Sequence[str]:
        """Paths of inputs whose change makes another resource."""

    @abstractmethod
    def deletes_first(self, asked: Asked, new: Values) -> bool:
        """Whether a replaced one goes before the new one comes, as both can't have one name."""

    @abstractmethod
    def expect(self, asked: Asked, new: Values, old: Values) -> Values:
        """Outputs in a preview, with unknown ones; `old` is the state, empty before a create."""

    @abstractmethod
    def create(self, asked: Asked, inputs: Values) -> tuple[str, Values]:
        """The id and the outputs."""

    @abstractmethod
    def read(self, asked: Asked, inputs: Values, state: Values) -> tuple[Values, Values] | None:
        """Inputs and outputs as they are now; ``None``: it is gone."""

    @abstractmethod
    def update(self, asked: Asked, state: Values, new: Values) -> Values: ...

    @abstractmethod
    def delete(self, asked: Asked, state: Values) -> None: ...

    def invoke(self, function: str, arguments: Values) -> Values:
        raise Refused(f"the stand-in has no function {function} (given {sorted(arguments)})")


def _told(method: Callable[..., Any]) -> Callable[..., Any]:
    """An exception as the call's error: in a few words where they are meant for the user."""

    @wraps(method)
    def answer(self: Servicer, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            words = str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"
            context.abort(grpc.StatusCode.UNKNOWN, words)

    return answer


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Answers the engine with what the stand-in says."""

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in

    @_told
    def GetPluginInfo(self, request: Any) -> Any:  # noqa: N802 - the protocol's names
        return plugin_pb2.PluginInfo(version=self._stand_in.version)

    @_told
    def CheckConfig(self, request: Any) -> Any:  # noqa: N802
        return provider_pb2.CheckResponse(inputs=request.news)

    @_told
    def DiffConfig(self, request: Any) -> Any:  # noqa: N802
        changed = plain(request.olds) != plain(request.news)
        kinds = provider_pb2.DiffResponse
        return kinds(changes=kinds.DIFF_SOME if changed else kinds.DIFF_NONE)

    @_told
    def Configure(self, request: Any) -> Any:  # noqa: N802
        self._stand_in.configure(plain(request.args))
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    @_told
    def Check(self, request: Any) -> Any:  # noqa: N802
        asked = Asked(request.urn)
        checked = self._stand_in.check(asked, plain(request.olds), plain(request.news), request.randomSeed)
        failures = [
            provider_pb2.CheckFailure(property=name, reason=reason)
            for name, reason in checked.failures.items()
        ]
        return provider_pb2.CheckResponse(inputs=message(checked.inputs), failures=failures)

    @_told
    def Diff(self, request: Any) -> Any:  # noqa: N802
        asked = Asked(request.urn, request.id)
        new = plain(request.news)
        forcing = self._stand_in.replacing(asked)
        detailed: dict[str, Any] = {}
        replaces: set[str] = set()
        for path, kind in differences(_shown(plain(request.old_inputs)), _shown(new)):
            forced = any(is_under(path, each) for each in forcing)
            if forced:
                replaces.add(path)
            named = f"{kind.upper()}{'_REPLACE' if forced else ''}"
            detailed[path] = provider_pb2.PropertyDiff(
                kind=provider_pb2.PropertyDiff.Kind.Value(named), inputDiff=True
            )
        kinds = provider_pb2.DiffResponse
        return kinds(
            changes=kinds.DIFF_SOME if detailed else kinds.DIFF_NONE,
            replaces=sorted(replaces),
            diffs=sorted({path.split(".")[0].split("[")[0] for path in detailed}),
            deleteBeforeReplace=bool(replaces) and self._stand_in.deletes_first(asked, new),
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    @_told
    def Create(self, request: Any) -> Any:  # noqa: N802
        asked, inputs = Asked(request.urn), plain(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=message(self._stand_in.expect(asked, inputs, {})))
        with self._stand_in.journal.operation("create", asked.type, asked.name):
            made, outputs = self._stand_in.create(asked, inputs)
        return provider_pb2.CreateResponse(id=made, properties=message(outputs))

    @_told
    def Read(self, request: Any) -> Any:  # noqa: N802
        asked = Asked(request.urn, request.id)
        with self._stand_in.journal.operation("read", asked.type, asked.name):
            found = self._stand_in.read(asked, plain(request.inputs), plain(request.properties))
        if found is None:
            return provider_pb2.ReadResponse()
        inputs, outputs = found
        return provider_pb2.ReadResponse(id=asked.id, inputs=message(inputs), properties=message(outputs))

    @_told
    def Update(self, request: Any) -> Any:  # noqa: N802
        asked, state, new = Asked(request.urn, request.id), plain(request.olds), plain(request.news)
        if request.preview:
            expected = self._stand_in.expect(asked, new, state)
            return provider_pb2.UpdateResponse(properties=message(expected))
        with self._stand_in.journal.operation("update", asked.type, asked.name):
            outputs = self._stand_in.update(asked, state, new)
        return provider_pb2.UpdateResponse(properties=message(outputs))

    @_told
    def Delete(self, request: Any) -> Any:  # noqa: N802
        asked = Asked(request.urn, request.id)
        with self._stand_in.journal.operation("delete", asked.type, asked.name):
            self._stand_in.delete(asked, plain(request.properties))
        return empty_pb2.Empty()

    @_told
    def Invoke(self, request: Any) -> Any:  # noqa: N802
        return provider_pb2.InvokeResponse(
            **{"return": message(self._stand_in.invoke(request.tok, plain(request.args)))}
        )

    @_told
    def Cancel(self, request: Any) -> Any:  # noqa: N802
        return empty_pb2.Empty()


def _shown(inputs: Values) -> Values:
    return {name: value for name, value in inputs.items() if name != DEFAULTS}


def serve(stand_in: StandIn) -> None:
    """Serve the engine until it ends this process."""
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    server = grpc.server(ThreadPoolExecutor(WORKERS))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(stand_in), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # The engine reads the port from the first line.
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    over.wait()
    server.stop(grace=None).wait()
