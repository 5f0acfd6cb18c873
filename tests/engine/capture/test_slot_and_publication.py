"""Slot and publication of a source as resources: against a real server, and by the real engine."""

from __future__ import annotations

import pytest

from headrace.errors import HeadraceError
from headrace.local.provider.publication import PublicationInputs, PublicationKind
from headrace.local.provider.slot import SlotInputs, SlotKind
from headrace.local.source import publication_of, slot_of
from headrace.provider import slot as slot_kind
from tests.engine.capture.source import Source
from tests.engine.capture.test_local import give_secrets
from tests.engine.conftest import project
from tests.engine.project import Project

__all__ = ["project"]

PUBLISHED = (
    "SELECT array_agg(tablename::text ORDER BY tablename) FROM pg_publication_tables WHERE pubname = '{}'"
)
SLOTS = "SELECT array_agg(slot_name::text ORDER BY slot_name) FROM pg_replication_slots"
PUBLICATIONS = "SELECT array_agg(pubname::text ORDER BY pubname) FROM pg_publication"

OF_A_STRANGER = """
CREATE ROLE stranger;
GRANT CREATE ON DATABASE {database} TO stranger;
CREATE PUBLICATION {role};
ALTER PUBLICATION {role} OWNER TO stranger;
"""


@pytest.fixture
def publication(project: Project, source: Source) -> PublicationInputs:
    give_secrets(project.files, source)
    return publication_of(source.plan, project.files, source.server.port)


@pytest.fixture
def slot(project: Project, source: Source) -> SlotInputs:
    give_secrets(project.files, source)
    return slot_of(source.plan, project.files, source.server.port)


def declare(project: Project, publication: PublicationInputs, slot: SlotInputs) -> None:
    project.declare(
        publication=("Publication", publication.model_dump(mode="json")),
        slot=("Slot", slot.model_dump(mode="json")),
    )


def published(source: Source) -> list[str]:
    return list(source.value(PUBLISHED.format(source.plan.publication)))


def test_a_publication_has_exactly_the_declared_tables_and_follows_them_and_the_slot_stays(
    project: Project, source: Source, publication: PublicationInputs, slot: SlotInputs
) -> None:
    source.run("DROP PUBLICATION {role}", "CREATE TABLE others (id bigint PRIMARY KEY)")
    declare(project, publication, slot)
    project.engine.up()
    assert published(source) == ["orders", "parts"]
    assert source.report().findings == ()

    source.make_slot()
    before = source.confirmed()
    declare(project, publication.model_copy(update={"tables": ("public.others", "public.parts")}), slot)
    project.engine.up()
    assert published(source) == ["others", "parts"]
    assert source.confirmed() == before

    # What somebody changed is brought back.
    source.run(
        "ALTER PUBLICATION {role} ADD TABLE orders", "ALTER PUBLICATION {role} SET (publish = 'insert')"
    )
    declare(project, publication, slot)
    project.engine.up()
    assert published(source) == ["orders", "parts"]
    assert source.report().findings == ()


def test_what_an_interrupted_up_made_is_taken_over(source: Source, publication: PublicationInputs) -> None:
    kind = PublicationKind()
    source.run("ALTER PUBLICATION {role} DROP TABLE parts")
    assert kind.read(publication) == {"status": "different"}
    for _ in range(2):
        kind.create(publication)
        assert kind.read(publication) == {"status": "present"}
        assert published(source) == ["orders", "parts"]
    # As a connector of an older version made it, by itself.
    source.run(f"GRANT CREATE ON DATABASE {source.plan.database} TO {{role}}")
    source.run("ALTER PUBLICATION {role} OWNER TO {role}")
    kind.create(publication)
    kind.delete(publication)
    assert kind.read(publication) is None
    kind.delete(publication)


def test_partitioned_tables_are_published_by_their_root(
    source: Source, publication: PublicationInputs
) -> None:
    source.run(
        "DROP PUBLICATION {role}",
        "DROP TABLE parts",
        "CREATE TABLE parts (id bigint PRIMARY KEY, note text) PARTITION BY RANGE (id)",
        "GRANT SELECT ON parts TO {role}",
    )
    PublicationKind().create(publication)
    assert source.report().findings == ()
    source.run("ALTER PUBLICATION {role} SET (publish_via_partition_root = false)")
    PublicationKind().create(publication)
    assert source.report().findings == ()


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ("CREATE PUBLICATION {role} FOR ALL TABLES", "for all tables"),
        (OF_A_STRANGER, "owned by role stranger"),
    ],
)
def test_somebody_elses_publication_is_refused_and_left_as_it_is(
    source: Source, publication: PublicationInputs, made: str, says: str
) -> None:
    source.run("DROP PUBLICATION {role}", made.replace("{database}", source.plan.database))
    kind = PublicationKind()
    with pytest.raises(HeadraceError, match=f"is {says}: it was not made by this stack"):
        kind.create(publication)
    kind.delete(publication)
    assert source.value(PUBLICATIONS) == [publication.publication]
    source.run("DROP PUBLICATION {role}")
    if "stranger" in made:
        source.run("DROP OWNED BY stranger", "DROP ROLE stranger")


@pytest.mark.parametrize(
    "made",
    [
        "SELECT pg_create_logical_replication_slot('{role}', 'test_decoding')",
        "SELECT pg_create_physical_replication_slot('{role}')",
    ],
)
def test_somebody_elses_slot_is_refused_and_left_as_it_is(
    source: Source, slot: SlotInputs, made: str
) -> None:
    source.run(made)
    kind = SlotKind()
    with pytest.raises(HeadraceError, match=r"It was left as it is\. Ask whose it is"):
        kind.create(slot)
    assert kind.read(slot) == {"status": "somebody else's"}
    kind.delete(slot)
    assert source.value(SLOTS) == [slot.slot]


def test_a_slot_that_another_role_reads_is_refused_and_one_that_its_connector_reads_is_taken(
    source: Source, slot: SlotInputs
) -> None:
    source.make_slot()
    with source.streaming("postgres"), pytest.raises(HeadraceError, match="is read by role postgres"):
        SlotKind().create(slot)
    with source.streaming(source.role):
        assert SlotKind().create(slot) == {"status": "ours"}


def test_destroy_leaves_no_slot_and_no_publication_and_touches_no_other(
    project: Project, source: Source, publication: PublicationInputs, slot: SlotInputs
) -> None:
    source.run(
        "SELECT pg_create_logical_replication_slot('others', 'pgoutput')",
        "CREATE PUBLICATION others FOR TABLE parts",
    )
    declare(project, publication, slot)
    project.engine.up()
    source.make_slot()

    # `headrace down` keeps where the connector is.
    project.engine.stop()
    assert source.value(SLOTS) == [slot.slot, "others"]
    assert published(source) == ["orders", "parts"]

    project.engine.up()
    project.engine.destroy()
    assert source.value(SLOTS) == ["others"]
    assert source.value(PUBLICATIONS) == ["others"]


def test_a_source_that_is_no_longer_declared_takes_slot_and_publication_with_it(
    project: Project, source: Source, publication: PublicationInputs, slot: SlotInputs
) -> None:
    declare(project, publication, slot)
    project.engine.up()
    source.make_slot()
    project.declare()
    project.engine.up()
    assert source.value(SLOTS) is None
    assert source.value(PUBLICATIONS) is None


def test_a_slot_that_somebody_reads_is_not_dropped_and_then_is(
    source: Source, slot: SlotInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot_kind, "FREE_TIMEOUT_S", 1)
    source.make_slot()
    with source.streaming(source.role):
        pid = source.value("SELECT active_pid FROM pg_replication_slots")
        with pytest.raises(HeadraceError) as refused:
            SlotKind().delete(slot)
        assert f"is still read by role {source.role}, process {pid} (" in str(refused.value)
        assert "Stop that reader where it runs" in str(refused.value)
        assert source.value(SLOTS) == [slot.slot]
    SlotKind().delete(slot)
    assert source.value(SLOTS) is None


def test_a_server_that_is_away_is_said_with_the_ways_out(
    source: Source, publication: PublicationInputs, slot: SlotInputs
) -> None:
    for kind, inputs in ((PublicationKind(), publication), (SlotKind(), slot)):
        away = inputs.model_copy(update={"port": 1})
        assert kind.read(away) == {"status": "unreachable"}  # type: ignore[arg-type]
        with pytest.raises(HeadraceError, match="`headrace down` stops the stack and keeps it"):
            kind.delete(away)  # type: ignore[arg-type]
