"""The pack as the engine sees it: Pulumi's analyzer over gRPC, with the messages that the engine sends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import grpc
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc
from pulumi_policy import EnforcementLevel

from headrace_policies import policies
from headrace_policies.pack import NAME
from headrace_policies.rule import Declared, Rule
from headrace_policies.serving import Analyzer as Servicer

TODAY = date(2026, 6, 1)
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""Pulumi's mark of an unknown string, as it travels."""


@dataclass(frozen=True)
class Said:
    """One diagnostic."""

    rule: str
    message: str
    mandatory: bool
    urn: str


@dataclass
class Analyzer:
    """Calls of one pack."""

    stub: Any
    dependencies: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)
    """Resource's name -> property -> names of the resources it was made from."""
    unmade: frozenset[str] = frozenset()
    """Names of resources that a whole stack has without a property, as their provider can't be asked yet."""

    def configure(self, config: Mapping[str, Mapping[str, Any]], level: str = "MANDATORY") -> None:
        request = analyzer_pb2.ConfigureAnalyzerRequest()
        for rule, properties in config.items():
            request.policyConfig[rule].enforcementLevel = analyzer_pb2.EnforcementLevel.Value(level)
            request.policyConfig[rule].properties.update(properties)
        self.stub.Configure(request)

    def configure_stack(self, *, preview: bool) -> None:
        """What the engine says of the stack before it asks anything."""
        self.stub.ConfigureStack(analyzer_pb2.AnalyzerStackConfigureRequest(dry_run=preview))

    def judge(self, resources: Iterable[Declared]) -> list[Said]:
        """Each resource on its own, then the stack, as in an update."""
        given = list(resources)
        answers = [self.stub.Analyze(_request(resource)) for resource in given]
        stack = analyzer_pb2.AnalyzeStackRequest(resources=[self._in_stack(resource) for resource in given])
        answers.append(self.stub.AnalyzeStack(stack))
        return [
            Said(d.policyName, d.message, d.enforcementLevel == analyzer_pb2.MANDATORY, d.urn)
            for answer in answers
            for d in answer.diagnostics
        ]

    def remediate(self, resource: Declared) -> list[dict[str, Any]]:
        """The properties after each remediation, raw as they travel."""
        answer = self.stub.Remediate(_request(resource))
        return [json_format.MessageToDict(r.properties) for r in answer.remediations]

    def _in_stack(self, resource: Declared) -> Any:
        made = analyzer_pb2.AnalyzerResource(
            type=resource.kind,
            properties=_struct({} if resource.name in self.unmade else resource.properties),
            urn=urn(resource),
            name=resource.name,
        )
        for key, names in self.dependencies.get(resource.name, {}).items():
            made.propertyDependencies[key].urns.extend(names)
        return made


def urn(resource: Declared) -> str:
    return f"urn:pulumi:test::test::{resource.kind}::{resource.name}"


def _request(resource: Declared) -> Any:
    return analyzer_pb2.AnalyzeRequest(
        type=resource.kind, properties=_struct(resource.properties), urn=urn(resource), name=resource.name
    )


def _struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(properties, struct_pb2.Struct())


@contextmanager
def serving(
    rules: Iterable[Rule], level: EnforcementLevel = EnforcementLevel.MANDATORY, today: date = TODAY
) -> Iterator[Analyzer]:
    """The pack of these rules behind a real gRPC server on loopback, as `PolicyPack` sets it up."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    servicer = Servicer(NAME, "0.0.1", policies(rules, today), level)
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Analyzer(analyzer_pb2_grpc.AnalyzerStub(channel))
    finally:
        server.stop(0).wait()


def without(properties: Any, path: tuple[str, ...]) -> Any:
    """A copy without the value at `path`; digits count in lists."""
    return _edited(properties, path, lambda container, key: container.pop(key))


def with_unknown(properties: Any, path: tuple[str, ...]) -> Any:
    def hide(container: Any, key: Any) -> None:
        container[key] = UNKNOWN

    return _edited(properties, path, hide)


def _edited(value: Any, path: tuple[str, ...], edit: Any) -> Any:
    copy = list(value) if isinstance(value, list) else dict(value)
    key: Any = int(path[0]) if isinstance(copy, list) else path[0]
    if len(path) == 1:
        edit(copy, key)
    else:
        copy[key] = _edited(copy[key], path[1:], edit)
    return copy
