"""A slot that was moved on without its connector: said before anything starts, with two ways to go on."""

from __future__ import annotations

import httpx

from headrace.errors import HeadraceError
from headrace.local.provider.preflight import PreflightKind
from tests.chaos.capture.rows import ROWS, captured, insert
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import in_make_chaos_alone
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

FIRST_ID = 9_000_000_000
TIMEOUT_S = 120
CHECK = "slot-meets-offset"


def connector(stack: LiveStack, method: str, path: str = "") -> None:
    url = f"{stack.connect_url}/connectors/{stack.plan.sources[0].connector}{path}"
    httpx.request(method, url, timeout=TIMEOUT_S, trust_env=False).raise_for_status()


def is_read(stack: LiveStack) -> bool:
    return bool(stack.json("capture", "status")[0]["slot_state"] == "active")


def move_on(stack: LiveStack) -> None:
    """As somebody does who wants the server's WAL back."""
    until("nobody reads the slot", lambda: not is_read(stack), TIMEOUT_S)
    with stack.database() as database:
        database.execute(
            "SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", [stack.plan.sources[0].slot]
        )


def refused(stack: LiveStack) -> str:
    """What an `up` says: the look before the connector, with its inputs from the stack's state."""
    resources = stack.found.engine.export()["deployment"]["resources"]
    (look,) = (each for each in resources if each["type"] == PreflightKind.token)
    kind = PreflightKind()
    try:
        kind.create(kind.inputs.model_validate(look["inputs"]))
    except HeadraceError as error:
        return str(error)
    return ""


def rows(first: int, op: str, revision: str) -> dict[int, tuple[str, str]]:
    return {first + n: (op, f"{revision}{first + n}") for n in range(ROWS)}


@in_make_chaos_alone("a slot that is ahead of what its connector has stored")
def test_a_slot_ahead_of_the_stored_offset_is_said_and_accepted_or_read_anew(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    first, second, third, fourth = (FIRST_ID + n * ROWS for n in range(4))
    # While changes are captured there is no false alarm.
    with stack.database() as database:
        for n in range(5):
            insert(database, FIRST_ID + (10 + n) * ROWS, "usual-")
            assert stack.succeed("preflight")
    assert refused(stack) == ""
    assert not [f for f in stack.json("preflight")[0]["findings"] if f["check"] == CHECK]

    connector(stack, "PUT", "/stop")
    with stack.database() as database:
        insert(database, first, "skipped-")
    move_on(stack)
    said = stack.run("preflight", "--json")
    assert said.code == 1
    assert "is ahead, at" in said.output
    assert f"error: {CHECK}: slot" in refused(stack)
    assert "The connector was left as it was" in refused(stack)

    # What was skipped is accepted: it never comes, and what is committed from now on does.
    stack.succeed("capture", "accept", "books", "--yes")
    assert stack.run("capture", "accept", "books", "--yes").code
    with stack.database() as database:
        insert(database, second, "after-")
    until("changes go on", lambda: captured(stack, second) == rows(second, "c", "after-"), TIMEOUT_S)
    assert captured(stack, first) == {}
    until("the slot is read", lambda: is_read(stack), TIMEOUT_S)
    assert stack.succeed("preflight")

    # A connector that is not even there, as after `down`: what it stored is known all the same.
    connector(stack, "DELETE")
    with stack.database() as database:
        insert(database, third, "skipped-")
    move_on(stack)
    assert f"error: {CHECK}: slot" in refused(stack)
    stack.succeed("capture", "resnapshot", "books", "--yes")
    until("all rows are read", lambda: captured(stack, third) == rows(third, "r", "skipped-"), TIMEOUT_S)
    assert captured(stack, first) == rows(first, "r", "skipped-")
    with stack.database() as database:
        insert(database, fourth, "after-")
    until("changes go on", lambda: captured(stack, fourth) == rows(fourth, "c", "after-"), TIMEOUT_S)
    until("the slot is read", lambda: is_read(stack), TIMEOUT_S)
    assert stack.succeed("preflight")
