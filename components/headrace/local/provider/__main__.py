"""Entry point of the plugin `pulumi-resource-headrace-local`."""

from __future__ import annotations

import sys

from headrace.local.provider import PACKAGE
from headrace.local.provider.agent_job import AgentJobKind
from headrace.local.provider.backfill import BackfillKind
from headrace.local.provider.bucket import BucketKind
from headrace.local.provider.connector import ConnectorKind
from headrace.local.provider.database import DatabaseKind
from headrace.local.provider.preflight import PreflightKind
from headrace.local.provider.process import ProcessKind
from headrace.local.provider.publication import PublicationKind
from headrace.local.provider.roster import RosterKind
from headrace.local.provider.slot import SlotKind
from headrace.local.provider.supervisor import SupervisorKind
from headrace.local.provider.topic import TopicKind
from headrace.provider.plugin import serve
from headrace.provider.server import HeadraceProvider

VERSION = "0.1.0"


def main() -> None:
    kinds = (
        SupervisorKind(),
        ProcessKind(),
        DatabaseKind(),
        PublicationKind(),
        SlotKind(),
        PreflightKind(),
        TopicKind(),
        BucketKind(),
        ConnectorKind(),
        BackfillKind(),
        AgentJobKind(),
        RosterKind(),
    )
    # Flags of the engine's logging and tracing may stand before its address.
    serve(sys.argv[-1], VERSION, HeadraceProvider(PACKAGE, kinds))


if __name__ == "__main__":
    main()
