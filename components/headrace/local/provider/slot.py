"""A source's replication slot on the server of this machine."""

from __future__ import annotations

from pathlib import Path

from headrace.capture.preflight import Access
from headrace.errors import HeadraceError
from headrace.local.files import StackFiles
from headrace.local.provider.database import wait_for_server
from headrace.local.removal import way_out
from headrace.local.source_access import administrator
from headrace.provider.slot import BaseSlotInputs, BaseSlotKind


class SlotInputs(BaseSlotInputs):
    root: str
    port: int

    def access(self) -> Access:
        """In the server's own database: a slot can be there when its database is gone."""
        return administrator(StackFiles(Path(self.root)), self.port, "postgres")

    def not_removed(self, error: Exception) -> HeadraceError:
        return way_out(f"slot {self.slot}", error)

    def wait(self) -> None:
        wait_for_server(self.port)


class SlotKind(BaseSlotKind[SlotInputs]):
    token = "headrace-local:index:Slot"
    inputs = SlotInputs
    unobserved = frozenset({"root", "port"})
