"""A source's replication slot, dropped by the capturing role, which owns it, once the connector is gone."""

from __future__ import annotations

from headrace.capture.preflight import Access
from headrace.errors import HeadraceError
from headrace.provider.aws.source_access import WHERE, SourceServer
from headrace.provider.positions import KEPT
from headrace.provider.slot import BaseSlotInputs, BaseSlotKind


class SlotInputs(SourceServer, BaseSlotInputs):
    def access(self) -> Access:
        return self.capturing_role(self.database, self.role)

    def not_removed(self, error: Exception) -> HeadraceError:
        kept = " ".join(f"{name}={value}" for name, value in KEPT.items())
        return HeadraceError(
            f"slot {self.slot} at {self.host} can't be dropped: {str(error).strip()}. While it is there it"
            f" keeps the server's WAL. Let it be reached and run the command again; with {kept} in its"
            " environment the command leaves the slot there"
        )


class SlotKind(BaseSlotKind[SlotInputs]):
    token = "headrace-aws:index:Slot"
    inputs = SlotInputs
    unobserved = WHERE
