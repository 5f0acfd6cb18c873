"""A source's replication slot: its name is taken before the connector, and given back after it.

The connector makes the slot itself, with the snapshot that it then reads: so snapshot and changes meet in one
place (docs/decisions/0039-the-connector-makes-its-slot.md).
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import ClassVar, TypeVar

import psycopg

from headrace.capture.catalogue import Slot, rows_of, slot
from headrace.capture.look import Connection
from headrace.capture.preflight import Access
from headrace.capture.slots import otherwise
from headrace.errors import HeadraceError
from headrace.provider.positions import are_kept
from headrace.provider.resource import Inputs, JsonObject, Kind
from headrace.waiting import WaitEnded, wait_until

FREE_TIMEOUT_S = 30
"""For the server to notice that the connector's connection has ended."""

logger = logging.getLogger(__name__)


class BaseSlotInputs(Inputs):
    database: str
    slot: str
    plugin: str
    role: str
    """The one that may read it: the source's own."""

    @abstractmethod
    def access(self) -> Access:
        """As a role that may drop a slot.

        Raises:
            FileNotFoundError: nothing was made yet.
            HeadraceError: what it logs in with can't be had.
        """

    @abstractmethod
    def not_removed(self, error: Exception) -> HeadraceError:
        """What to say where the server could not be asked to remove it."""

    def wait(self) -> None:
        """Until the server takes connections, where it was started a moment ago."""


I = TypeVar("I", bound=BaseSlotInputs)  # noqa: E741  (the type variable of a resource's inputs)


class BaseSlotKind(Kind[I]):
    replace_on = frozenset({"slot"})
    settled: ClassVar = {"status": "ours"}

    def identify(self, inputs: I) -> str:
        return inputs.slot

    def create(self, inputs: I) -> JsonObject:
        inputs.wait()
        with inputs.access().open() as server:
            found = _found(server, inputs)
        if found and (another := _somebody_elses(found, inputs)):
            raise HeadraceError(
                f"{another}. It was left as it is. Ask whose it is; stop its reader, drop the slot (what that"
                " has not read is then kept by nobody), and run the command again"
            )
        return {"status": "ours"}

    def read(self, inputs: I) -> JsonObject | None:
        try:
            with inputs.access().open() as server:
                found = _found(server, inputs)
        except FileNotFoundError:  # the administrator's password: nothing was made yet
            return None
        except (HeadraceError, psycopg.OperationalError):
            return {"status": "unreachable"}
        return {"status": "somebody else's" if found and _somebody_elses(found, inputs) else "ours"}

    def delete(self, inputs: I) -> None:
        """Kept by `headrace down`. One that cannot be the source's is left alone.

        Raises:
            HeadraceError: somebody reads it, or the server does not answer.
        """
        if are_kept():
            return
        try:
            access = inputs.access()
        except HeadraceError as error:
            raise inputs.not_removed(error) from None
        try:
            with access.open() as server:
                found = _found(server, inputs)
                if found and (another := otherwise(inputs.slot, found, inputs.plugin, inputs.database)):
                    logger.warning("%s: it is not this stack's, and was left as it is", another)
                elif found:
                    _drop(server, inputs)
        except psycopg.OperationalError as error:
            raise inputs.not_removed(error) from None


def _found(server: Connection, inputs: BaseSlotInputs) -> Slot | None:
    return slot(rows_of(server), inputs.slot, server.info.server_version)


def _somebody_elses(found: Slot, inputs: BaseSlotInputs) -> str:
    """What shows that it is not the source's; empty where nothing does."""
    if another := otherwise(inputs.slot, found, inputs.plugin, inputs.database):
        return another
    if found.holder_pid is not None and found.holder != inputs.role:
        return f"slot {inputs.slot} is read by {_reader(found)}"
    return ""


def _reader(found: Slot) -> str:
    return f"role {found.holder}, process {found.holder_pid} ({found.holder_application})"


def _drop(server: Connection, inputs: BaseSlotInputs) -> None:
    reader = ""

    def dropped() -> bool:
        nonlocal reader
        found = _found(server, inputs)
        if found is None:
            return True
        if found.holder_pid is None:
            try:
                server.execute("SELECT pg_drop_replication_slot(%s)", [inputs.slot])
            except psycopg.errors.ObjectInUse:  # since it was looked at
                return False
            return True
        reader = _reader(found)
        return False

    try:
        wait_until(f"slot {inputs.slot} free", dropped, FREE_TIMEOUT_S)
    except WaitEnded:
        raise HeadraceError(
            f"slot {inputs.slot} is still read by {reader}, after {FREE_TIMEOUT_S} s. It was left as it is."
            " Stop that reader where it runs, and run the command again"
        ) from None
