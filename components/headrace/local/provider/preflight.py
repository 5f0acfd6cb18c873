"""The look at a source before its connector: made when the source or its connector is to change."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import ClassVar

from headrace.capture.finding import Report
from headrace.capture.preflight import CONNECTION, preflight
from headrace.errors import HeadraceError
from headrace.local.files import StackFiles
from headrace.local.provider.database import wait_for_server
from headrace.local.provider.resource import Inputs, JsonObject, Kind
from headrace.local.source_access import capturing_role
from headrace.local.stored_offsets import StoredOffsets
from headrace.plan.model import PostgresqlSourcePlan

logger = logging.getLogger(__name__)


class PreflightInputs(Inputs):
    root: str
    port: int
    bootstrap_servers: str
    offsets_topic: str
    declared: tuple[str, ...]
    """Slots of all declared sources: others of their kind are orphans."""
    source: PostgresqlSourcePlan
    """With the connector's configuration: a change of that is looked at before the connector has it."""


class PreflightKind(Kind[PreflightInputs]):
    """There is nothing to make: that nothing is wrong is all there is to it.

    A refresh looks, too. What went wrong since is a change in a preview, and fails the next `up` before a
    connector that depends on this is touched.
    """

    token = "headrace-local:index:Preflight"
    inputs = PreflightInputs
    settled: ClassVar = {"status": "passed"}
    unobserved = frozenset({"root", "port", "bootstrap_servers", "offsets_topic", "declared"})

    def identify(self, inputs: PreflightInputs) -> str:
        return inputs.source.name

    def create(self, inputs: PreflightInputs) -> JsonObject:
        wait_for_server(inputs.port)
        report = _look(inputs)
        if report.failed:
            found = "\n".join(map(str, (*report.of("error"), *report.of("warning"))))
            raise HeadraceError(
                f"source {report.source} is not ready to be captured:\n{found}\n"
                "The connector was left as it was. `headrace preflight` shows all of it, and --fix mends what"
                " can be mended at any time"
            )
        for warning in report.of("warning"):
            logger.warning("source %s: %s", report.source, warning)
        return {"status": "passed"}

    def read(self, inputs: PreflightInputs) -> JsonObject | None:
        try:
            report = _look(inputs)
        except FileNotFoundError:  # its role's password: nothing was made yet
            return None
        if any(finding.check == CONNECTION for finding in report.findings):
            return {"status": "unreachable"}
        return {"status": "failed" if report.failed else "passed"}

    def delete(self, inputs: PreflightInputs) -> None:
        """It left nothing anywhere."""


def _look(inputs: PreflightInputs) -> Report:
    stored = StoredOffsets(inputs.bootstrap_servers, inputs.offsets_topic)
    access = capturing_role(StackFiles(Path(inputs.root)), inputs.port, inputs.source, stored)
    return preflight(inputs.source, access, inputs.declared)
