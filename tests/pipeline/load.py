"""Rows for the source database: the same for the same seed, and remembered as committed, in their order.

A connection may be lost at any moment. Whether the transaction it was in was committed is then asked of the
database, so that what is remembered is what happened.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg import sql

Connection = psycopg.Connection[tuple[Any, ...]]
Operation = Literal["c", "u", "d"]
"""As Debezium names them: create, update, delete."""

TICKETS = "public.tickets"
CUSTOMERS = "public.customers"
RECONNECT_PAUSE_S = 0.2
OUTAGE_PATIENCE_S = 300
"""The longest time without the database before the load gives up."""
ROWS_PER_TRANSACTION = 5
"""Of the transactions of a mixed load that have several rows: those share a commit."""

SUBJECTS = ("Invoice is wrong", "Error 500", "Password lost", "A question", "URGENT: all is down", "Idea")


@dataclass(frozen=True)
class Change:
    """One row's change, committed."""

    table: str
    operation: Operation
    key: int
    """Of the Kafka record: the customer's id, for either table."""
    row: dict[str, Any]
    """After the change; before it for a delete."""
    committed_at: float
    """Monotonic clock, seconds; not before the commit."""

    @property
    def id(self) -> int:
        return int(self.row["id"])


class Load:
    """Writes to ``public.customers`` and ``public.tickets``. One thread at a time may use it."""

    def __init__(self, connect: Callable[[], Connection], seed: int = 1, customers: int = 40) -> None:
        self.committed: list[Change] = []
        """In the order of commit."""
        self._connect = connect
        self._connection: Connection | None = None
        self._random = random.Random(seed)
        self._customers = customers
        self._known_customers: set[int] = set()
        self._live: dict[int, dict[str, Any]] = {}
        self._abandoned = threading.Event()
        self._last_id = 0
        self._revision = 0

    def insert(
        self,
        count: int,
        *,
        customer: int | None = None,
        body: str | None = None,
        in_one_transaction: bool = False,
    ) -> list[int]:
        """New tickets, and their customers where those are new; returns the tickets' ids.

        Of one customer, if one is given: above the load's own, it has no other tickets.
        """
        tickets = [self._new_ticket(customer, body) for _ in range(count)]
        changes = [change for ticket in tickets for change in self._inserts(ticket)]
        self._commit_all(changes, in_one_transaction=in_one_transaction)
        return [ticket["id"] for ticket in tickets]

    def update(self, count: int) -> None:
        """Change tickets; every third is closed."""
        for _ in range(count):
            ticket = self._live[self._random.choice(list(self._live))]
            self._revision += 1
            status = "closed" if self._revision % 3 == 0 else "open"
            row = ticket | {"body": f"Revision {self._revision}.", "status": status}
            self._commit([_change(TICKETS, "u", row)])

    def delete(self, count: int) -> None:
        for _ in range(count):
            ticket = self._live[self._random.choice(list(self._live))]
            self._commit([_change(TICKETS, "d", ticket)])

    def mixed(self) -> None:
        """One transaction: mostly an insert, sometimes several, an update or a delete."""
        kind = self._random.random()
        if kind < 0.1 and len(self._live) > 10:
            self.delete(1)
        elif kind < 0.3 and self._live:
            self.update(1)
        elif kind < 0.35:
            self.insert(ROWS_PER_TRANSACTION, in_one_transaction=True)
        else:
            self.insert(1)

    @contextmanager
    def running(self, transactions_per_second: float) -> Iterator[None]:
        """A mixed load from a thread of its own. What ends that thread early is raised at the end.

        Where the block fails, the load waits for no database any more.
        """
        self._abandoned.clear()
        stop, failed = threading.Event(), list[BaseException]()

        def run() -> None:
            try:
                while not stop.wait(1 / transactions_per_second):
                    self.mixed()
            except BaseException as error:  # noqa: BLE001  (handed to who waits for this thread)
                failed.append(error)

        thread = threading.Thread(target=run, name="load")
        thread.start()
        try:
            yield
        except BaseException:
            self._abandoned.set()
            raise
        finally:
            stop.set()
            thread.join()
        if failed:
            raise failed[0]

    def first_insert_after(self, moment: float) -> int | None:
        """Id of the first ticket committed after `moment` (monotonic clock)."""
        for change in self.committed:
            if change.committed_at > moment and (change.table, change.operation) == (TICKETS, "c"):
                return change.id
        return None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _new_ticket(self, customer: int | None = None, body: str | None = None) -> dict[str, Any]:
        self._last_id += 1
        return {
            "id": self._last_id,
            "customer_id": customer or self._random.randint(1, self._customers),
            "subject": self._random.choice(SUBJECTS),
            "body": body or f"Ticket {self._last_id}.",
            "status": "open",
        }

    def _inserts(self, ticket: dict[str, Any]) -> list[Change]:
        customer = ticket["customer_id"]
        new = [_change(TICKETS, "c", ticket)]
        if customer not in self._known_customers:
            self._known_customers.add(customer)
            row = {"id": customer, "name": f"Customer {customer}", "plan": "free"}
            new.insert(0, _change(CUSTOMERS, "c", row))
        return new

    def _commit_all(self, changes: Sequence[Change], *, in_one_transaction: bool) -> None:
        for transaction in [changes] if in_one_transaction else [[change] for change in changes]:
            self._commit(transaction)

    def _commit(self, changes: Sequence[Change]) -> None:
        """Until it is committed; not twice."""
        deadline = time.monotonic() + OUTAGE_PATIENCE_S
        uncertain = False
        while True:
            try:
                connection = self._connected()
                if not (uncertain and _is_applied(connection, changes[-1])):
                    uncertain = True
                    with connection.transaction():
                        for change in changes:
                            _apply(connection, change)
                break
            except psycopg.OperationalError:
                self.close()
                if time.monotonic() > deadline or self._abandoned.wait(RECONNECT_PAUSE_S):
                    raise
        self._remember(changes)

    def _remember(self, changes: Sequence[Change]) -> None:
        now = time.monotonic()
        for change in changes:
            self.committed.append(_change(change.table, change.operation, change.row, now))
            if change.table != TICKETS:
                continue
            if change.operation == "d":
                del self._live[change.id]
            else:
                self._live[change.id] = change.row

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection


def _change(table: str, operation: Operation, row: dict[str, Any], committed_at: float = 0.0) -> Change:
    key = row["customer_id"] if table == TICKETS else row["id"]
    return Change(table, operation, key, row, committed_at)


def _apply(connection: Connection, change: Change) -> None:
    table = sql.Identifier(*change.table.split("."))
    names = sql.SQL(", ").join(map(sql.Identifier, change.row))
    values = sql.SQL(", ").join(sql.Placeholder() * len(change.row))
    statements = {
        "c": sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(table, names, values),
        "u": sql.SQL("UPDATE {} SET ({}) = ROW({}) WHERE id = {}").format(table, names, values, change.id),
        "d": sql.SQL("DELETE FROM {} WHERE id = {}").format(table, change.id),
    }
    parameters = None if change.operation == "d" else list(change.row.values())
    done = connection.execute(statements[change.operation], parameters)
    assert done.rowcount == 1, f"{change} touched {done.rowcount} rows"


def _is_applied(connection: Connection, change: Change) -> bool:
    names = sql.SQL(", ").join(map(sql.Identifier, change.row))
    table = sql.Identifier(*change.table.split("."))
    query = sql.SQL("SELECT {} FROM {} WHERE id = {}").format(names, table, change.id)
    found = connection.execute(query).fetchone()
    return found is None if change.operation == "d" else found == tuple(change.row.values())
