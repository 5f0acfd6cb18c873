"""The look at a source before its connector, at the server of this machine."""

from __future__ import annotations

from pathlib import Path

from headrace.capture.preflight import Access
from headrace.local.files import StackFiles
from headrace.local.provider.database import wait_for_server
from headrace.local.source_access import capturing_role
from headrace.local.stored_offsets import StoredOffsets
from headrace.provider.preflight import BasePreflightInputs, BasePreflightKind


class PreflightInputs(BasePreflightInputs):
    root: str
    port: int
    bootstrap_servers: str
    offsets_topic: str

    def access(self) -> Access:
        stored = StoredOffsets(self.bootstrap_servers, self.offsets_topic)
        return capturing_role(StackFiles(Path(self.root)), self.port, self.source, stored)

    def wait(self) -> None:
        wait_for_server(self.port)


class PreflightKind(BasePreflightKind[PreflightInputs]):
    token = "headrace-local:index:Preflight"
    inputs = PreflightInputs
    unobserved = frozenset({"root", "port", "bootstrap_servers", "offsets_topic", "declared"})
    mended_by = "`headrace preflight` shows all of it, and --fix mends what can be mended at any time"
