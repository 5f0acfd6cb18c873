"""The pack as a server of the engine, which knows whether it serves a preview."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from pulumi_policy import EnforcementLevel, PolicyPack, policy

from headrace_policies.pack import DRY_RUN, NAME, is_preview, policies
from headrace_policies.rule import Rule


class Analyzer(policy._PolicyAnalyzerServicer):  # noqa: SLF001
    """Pulumi's analyzer, which drops what the engine says of the stack but for its tags.

    In a preview whose provider can't be configured yet (a cluster that is to be made, an endpoint that is not
    reached) the engine gives a whole stack's resources without any property. They are judged by what the
    program asked for, which was seen before.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._asked_for: dict[str, Any] = {}

    def ConfigureStack(self, request: Any, _context: Any) -> Any:  # noqa: N802
        # Older engines set this variable themselves; it is where the SDK looks.
        os.environ[DRY_RUN] = str(request.dry_run).lower()
        return super().ConfigureStack(request, _context)

    def Analyze(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._asked_for[request.urn] = request.properties
        return super().Analyze(request, context)  # type: ignore[no-untyped-call]

    def AnalyzeStack(self, request: Any, context: Any) -> Any:  # noqa: N802
        for resource in request.resources:
            if is_preview() and not resource.properties.fields and resource.urn in self._asked_for:
                resource.properties.CopyFrom(self._asked_for[resource.urn])
        return super().AnalyzeStack(request, context)  # type: ignore[no-untyped-call]


def serve(rules: Iterable[Rule]) -> None:
    """Serve the engine until it ends this process."""
    # PolicyPack takes no analyzer of another class.
    policy._PolicyAnalyzerServicer = Analyzer  # type: ignore[misc]  # noqa: SLF001
    PolicyPack(NAME, policies(rules), enforcement_level=EnforcementLevel.MANDATORY)
