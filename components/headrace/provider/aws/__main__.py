"""Entry point of the plugin `pulumi-resource-headrace-aws`."""

from __future__ import annotations

import sys

from headrace.provider.aws import PACKAGE
from headrace.provider.aws.agent_upgrade import AgentUpgradeKind
from headrace.provider.aws.preflight import PreflightKind
from headrace.provider.aws.roster import RosterKind
from headrace.provider.aws.slot import SlotKind
from headrace.provider.plugin import serve
from headrace.provider.server import HeadraceProvider

VERSION = "0.1.0"


def main() -> None:
    kinds = (AgentUpgradeKind(), PreflightKind(), RosterKind(), SlotKind())
    # Flags of the engine's logging and tracing may stand before its address.
    serve(sys.argv[-1], VERSION, HeadraceProvider(PACKAGE, kinds))


if __name__ == "__main__":
    main()
