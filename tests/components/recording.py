"""What a program registers, recorded by Pulumi's mocks: with parents, dependencies and options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
from pulumi.runtime import mocks

from headrace.agents_fit import Fit
from headrace.plan.model import StackPlan
from headrace_agents.describing import manifest_of
from tests.standins.values import whole

STACK = "pulumi:pulumi:Stack"
Registered = dict[str, dict[str, Any]]
"""``type name`` -> parent, depends_on, retained, inputs; provider, protected and so on if they are set."""


class Echo(mocks.Mocks):
    """Every resource has its name as id, and its inputs as outputs."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        return args.name, dict(args.inputs)

    def call(self, args: mocks.MockCallArgs) -> Any:
        raise AssertionError(f"a function of a provider is called: {args.token}")


def fit_of(plan: StackPlan) -> Fit:
    """As if the agents had been looked at."""
    return Fit([], {each.spec.entry_point: manifest_of(each.spec.entry_point) for each in plan.agents})


def registered(
    program: Callable[[], object], made: mocks.Mocks | None = None, *, preview: bool = False
) -> Registered:
    """Everything that `program` registers, in the order of names; `made` answers for the providers."""
    monitor = _Recorder(made or Echo())
    pulumi.runtime.set_mocks(monitor.mocks, "headrace", "local", preview=preview, monitor=monitor)
    # It waits for every registration, and raises what one of them raised.
    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
    return dict(sorted(monitor.recorded.items()))


class _Recorder(mocks.MockMonitor):
    def __init__(self, made: mocks.Mocks) -> None:
        super().__init__(made)
        self.recorded: Registered = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        if request.type != STACK:
            self.recorded[f"{request.type} {request.name}"] = {
                "parent": _name(request.parent),
                "depends_on": sorted(map(_name, request.dependencies)),
                "retained": request.retainOnDelete,
                "inputs": whole(pulumi.runtime.rpc.deserialize_properties(request.object)),
                **({"provider": request.provider.split("::")[-2]} if request.provider else {}),
                **({"protected": True} if request.protect else {}),
                **({"deleted_first": True} if request.deleteBeforeReplace else {}),
                **({"ignored": list(request.ignoreChanges)} if request.ignoreChanges else {}),
            }
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]
