"""The look at a source before its connector: made when the source or its connector is to change."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import ClassVar, TypeVar

from headrace.capture.finding import Report
from headrace.capture.preflight import CONNECTION, Access, preflight
from headrace.errors import HeadraceError
from headrace.plan.model import PostgresqlSourcePlan
from headrace.provider.resource import Inputs, JsonObject, Kind

logger = logging.getLogger(__name__)


class BasePreflightInputs(Inputs):
    declared: tuple[str, ...]
    """Slots of all declared sources: others of their kind are orphans."""
    source: PostgresqlSourcePlan
    """With the connector's configuration: a change of that is looked at before the connector has it."""

    @abstractmethod
    def access(self) -> Access:
        """As the role that captures.

        Raises:
            FileNotFoundError: nothing was made yet.
            HeadraceError: what it logs in with can't be had.
        """

    def wait(self) -> None:
        """Until the server takes connections, where it was started a moment ago."""


I = TypeVar("I", bound=BasePreflightInputs)  # noqa: E741  (the type variable of a resource's inputs)


class BasePreflightKind(Kind[I]):
    """There is nothing to make: that nothing is wrong is all there is to it.

    A refresh looks, too. What went wrong since is a change in a preview, and fails the next `up` before a
    connector that depends on this is touched.
    """

    settled: ClassVar = {"status": "passed"}
    mended_by: ClassVar[str]
    """What shows all that was found, and mends it: the end of what is said of a failure."""

    def identify(self, inputs: I) -> str:
        return inputs.source.name

    def create(self, inputs: I) -> JsonObject:
        inputs.wait()
        report = _look(inputs)
        if report.failed:
            found = "\n".join(map(str, (*report.of("error"), *report.of("warning"))))
            raise HeadraceError(
                f"source {report.source} is not ready to be captured:\n{found}\n"
                f"The connector was left as it was. {self.mended_by}"
            )
        for warning in report.of("warning"):
            logger.warning("source %s: %s", report.source, warning)
        return {"status": "passed"}

    def read(self, inputs: I) -> JsonObject | None:
        try:
            report = _look(inputs)
        except FileNotFoundError:  # its role's password: nothing was made yet
            return None
        except HeadraceError as error:
            logger.warning("source %s was not looked at: %s", inputs.source.name, error)
            return {"status": "unreachable"}
        if any(finding.check == CONNECTION for finding in report.findings):
            return {"status": "unreachable"}
        return {"status": "failed" if report.failed else "passed"}

    def delete(self, inputs: I) -> None:
        """It left nothing anywhere."""


def _look(inputs: BasePreflightInputs) -> Report:
    return preflight(inputs.source, inputs.access(), inputs.declared)
