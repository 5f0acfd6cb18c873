"""The look at a source before its connector, from where the engine runs."""

from __future__ import annotations

from headrace.capture.preflight import Access
from headrace.provider.aws.source_access import SourceServer
from headrace.provider.preflight import BasePreflightInputs, BasePreflightKind


class PreflightInputs(SourceServer, BasePreflightInputs):
    def access(self) -> Access:
        """What a connector has stored is in MSK's topic of offsets, which nobody reads from here."""
        return self.capturing_role(self.source.database, self.source.slot)


class PreflightKind(BasePreflightKind[PreflightInputs]):
    token = "headrace-aws:index:Preflight"
    inputs = PreflightInputs
    # Another server, or another secret, is looked at anew.
    unobserved = frozenset({"declared", "security_group_id", "client"})
    mended_by = "Have an administrator run the statements, and run the command again"
