"""A source's resources destroyed by the real engine: nothing of ours is left, nothing else is touched."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import psycopg
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from headrace.local.connect_status import runs
from headrace.local.connector_place import ConnectorPlace
from headrace.operations.captured_sources import stored_offsets
from tests.chaos.capture.rows import ROWS, captured, insert
from tests.pipeline.ledger import Topics
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import in_make_chaos_alone
from tests.pipeline.stack import LiveStack
from tests.pipeline.waiting import until

FIRST_ID = 9_500_000_000
TIMEOUT_S = 120
FOREIGN = "stranger"
"""A connector, its slot, publication, prefix and topic."""
FOREIGN_TOPIC = f"{FOREIGN}.public.accounts"
RESOURCES = ("Connector", "Preflight", "Slot", "Publication")
"""Of a source; its database and the topics are data, and stay: decision 0005."""


@pytest.fixture
def stranger(pipeline: Pipeline) -> Iterator[None]:
    """Somebody's connector on the same Kafka Connect, database and Kafka, with all that belongs to it."""
    stack = pipeline.stack
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    admin.create_topics([NewTopic(FOREIGN_TOPIC, 1, 1)])[FOREIGN_TOPIC].result(TIMEOUT_S)
    with stack.database() as database:
        database.execute(f"CREATE PUBLICATION {FOREIGN} FOR TABLE public.accounts")
    url = f"{stack.connect_url}/connectors"
    with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client:
        ours = client.get(f"{url}/{stack.plan.sources[0].connector}/config").raise_for_status().json()
        client.put(
            f"{url}/{FOREIGN}/config",
            json=ours
            | {
                "name": FOREIGN,
                "topic.prefix": FOREIGN,
                "slot.name": FOREIGN,
                "publication.name": FOREIGN,
                "snapshot.mode": "no_data",
                "heartbeat.interval.ms": "0",
                "table.include.list": r"public\.accounts",
                "message.key.columns": r"public\.accounts:id",
            },
        ).raise_for_status()
        until("the stranger reads", lambda: is_whole(stack), TIMEOUT_S)
        yield
        place = ConnectorPlace(client, stack.connect_url, FOREIGN)
        place.stop({})
        place.forget()
        place.remove()
    with stack.database() as database:
        until("its slot is free", lambda: FOREIGN not in slots(database, only_read=True), TIMEOUT_S)
        database.execute("SELECT pg_drop_replication_slot(%s)", [FOREIGN])
        database.execute(f"DROP PUBLICATION {FOREIGN}")
    admin.delete_topics([FOREIGN_TOPIC])[FOREIGN_TOPIC].result(TIMEOUT_S)


def is_whole(stack: LiveStack) -> bool:
    """The stranger's connector runs, and its slot is read."""
    url = f"{stack.connect_url}/connectors/{FOREIGN}/status"
    status = httpx.get(url, timeout=TIMEOUT_S, trust_env=False)
    with stack.database() as database:
        return status.is_success and runs(status.json()) and FOREIGN in slots(database, only_read=True)


def slots(database: psycopg.Connection[tuple[object, ...]], *, only_read: bool = False) -> set[object]:
    found = database.execute("SELECT slot_name, active FROM pg_replication_slots").fetchall()
    return {name for name, active in found if active or not only_read}


def publications(database: psycopg.Connection[tuple[object, ...]]) -> set[object]:
    return {name for (name,) in database.execute("SELECT pubname FROM pg_publication")}


def connectors(stack: LiveStack) -> set[str]:
    answer = httpx.get(f"{stack.connect_url}/connectors", timeout=TIMEOUT_S, trust_env=False)
    return set(answer.raise_for_status().json())


def operations(stack: LiveStack, first: int) -> set[str]:
    """Of the newest record of each row."""
    return {operation for operation, _ in captured(stack, first).values()}


def foreign_records(stack: LiveStack) -> int:
    topics = Topics(stack.bootstrap_servers, [FOREIGN_TOPIC])
    try:
        topics.read_to_end()
        return len(topics.records[FOREIGN_TOPIC])
    finally:
        topics.close()


def urns(stack: LiveStack) -> list[str]:
    """Of the source's resources."""
    resources = stack.found.engine.export()["deployment"]["resources"]
    kinds = {f"headrace-local:index:{kind}" for kind in RESOURCES}
    return [each["urn"] for each in resources if each["type"] in kinds]


def run_engine(stack: LiveStack, command: str, urns: list[str]) -> None:
    """The real one, on these resources alone: the servers go on, so that they can be asked."""
    found = stack.found.engine
    targets = [argument for urn in urns for argument in ("--target", urn)]
    found._watched(command, "--yes", "--skip-preview", "--stack", found.stack, *targets)


@in_make_chaos_alone("that destroy leaves nothing of a source, and nothing else is touched")
@pytest.mark.usefixtures("stranger")
def test_destroy_leaves_nothing_of_a_source_and_touches_nothing_else(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    (source,) = stack.plan.sources
    stored = stored_offsets(stack.found)
    with stack.database() as database:
        insert(database, FIRST_ID, "before-")
        until("captured", lambda: len(captured(stack, FIRST_ID)) == ROWS, TIMEOUT_S)
        until("the stranger's, too", lambda: foreign_records(stack) == ROWS, TIMEOUT_S)
        until("its offset", lambda: stored.of(FOREIGN, FOREIGN) is not None, TIMEOUT_S)
        assert stored.of(source.connector, source.name) is not None
        assert slots(database) == {source.slot, FOREIGN}

        ours = urns(stack)
        assert len(ours) == len(RESOURCES)
        run_engine(stack, "destroy", ours)
        try:
            assert slots(database) == {FOREIGN}
            assert publications(database) == {FOREIGN}
            assert connectors(stack) == {FOREIGN}
            assert stored.of(source.connector, source.name) is None
            # The stranger's goes on.
            assert stored.of(FOREIGN, FOREIGN) is not None
            assert is_whole(stack)
            insert(database, FIRST_ID + ROWS, "between-")
            until("the stranger's goes on", lambda: foreign_records(stack) == 2 * ROWS, TIMEOUT_S)
        finally:
            run_engine(stack, "up", ours)
        # Everything is read anew, by a slot and a publication that are made again.
        both = (FIRST_ID, FIRST_ID + ROWS)
        until("read anew", lambda: all(operations(stack, first) == {"r"} for first in both), TIMEOUT_S)
        assert slots(database) == {source.slot, FOREIGN}
        assert publications(database) == {source.publication, FOREIGN}
