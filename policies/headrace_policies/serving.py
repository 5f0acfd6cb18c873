"""The pack as a server of the engine, which knows whether it serves a preview."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from pulumi_policy import EnforcementLevel, PolicyPack, policy

from headrace_policies.pack import DRY_RUN, NAME, policies
from headrace_policies.rule import Rule


class Analyzer(policy._PolicyAnalyzerServicer):  # noqa: SLF001
    """Pulumi's analyzer, which drops what the engine says of the stack but for its tags."""

    def ConfigureStack(self, request: Any, _context: Any) -> Any:  # noqa: N802
        # Older engines set this variable themselves; it is where the SDK looks.
        os.environ[DRY_RUN] = str(request.dry_run).lower()
        return super().ConfigureStack(request, _context)


def serve(rules: Iterable[Rule]) -> None:
    """Serve the engine until it ends this process."""
    # PolicyPack takes no analyzer of another class.
    policy._PolicyAnalyzerServicer = Analyzer  # type: ignore[misc]  # noqa: SLF001
    PolicyPack(NAME, policies(rules), enforcement_level=EnforcementLevel.MANDATORY)
