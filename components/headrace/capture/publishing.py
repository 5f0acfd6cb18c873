"""Checks of the publication: there or creatable, with exactly the declared tables, whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from psycopg import sql

from headrace.capture.finding import Flaw, Mend
from headrace.capture.look import Look
from headrace.capture.statements import name, names, statement

OPERATIONS = {"insert": "c", "update": "u", "delete": "d", "truncate": "t"}
"""As PostgreSQL publishes them, and as Debezium's ``skipped.operations`` names them."""


def published_operations_of(config: Mapping[str, str]) -> list[str]:
    """What a connector with this configuration does not skip; Debezium skips truncates by itself."""
    skipped = config.get("skipped.operations", "t").split(",")
    return [operation for operation, letter in OPERATIONS.items() if letter not in skipped]


def creation(publication: str, tables: Sequence[str], operations: Sequence[str], *, via_root: bool) -> str:
    """The statement that makes it."""
    return statement(
        "CREATE PUBLICATION {} FOR TABLE {} WITH (publish = {}, publish_via_partition_root = {})",
        name(publication),
        names(tables),
        sql.Literal(", ".join(operations)),
        sql.SQL("true" if via_root else "false"),
    )


def publication_exists(look: Look) -> Iterator[Flaw]:
    """The publication is there, or the role may create it"""
    if look.publication:
        return
    lacking = list(_lacking_to_create(look))
    if not lacking:
        yield Flaw(
            "info",
            f"publication {look.source.publication} is not there yet",
            "the connector creates it when it starts",
        )
        return
    yield Flaw(
        "error",
        f"publication {look.source.publication} is not there, and the connector can't create it: "
        + "; ".join(lacking),
        "the connector fails when it starts",
        Mend((_creation(look),), safe=_all_publishable(look) and not look.in_recovery),
    )


def _lacking_to_create(look: Look) -> Iterator[str]:
    if _left_alone(look):
        yield "it is told to make none (publication.autocreate.mode)"
    if look.in_recovery:
        yield "the server is a standby, so it has to be made on its primary"
    if not look.value("SELECT has_database_privilege(current_database(), 'CREATE')"):
        yield f"role {look.role} lacks CREATE on database {look.source.database}"
    for table in look.source.tables:
        relation = look.relations.get(table.name)
        if relation and not relation.owned:
            yield f"role {look.role} does not own {table.name}"
        if relation and relation.partitioned and look.config.get("publish.via.partition.root") != "true":
            yield f"{table.name} is partitioned, and the connector is not told to publish via the root"


def _all_publishable(look: Look) -> bool:
    found = [look.relations.get(table.name) for table in look.source.tables]
    return all(relation is not None and relation.publishable for relation in found)


def _creation(look: Look) -> str:
    partitioned = any(relation.partitioned for relation in look.relations.values())
    tables = [table.name for table in look.source.tables]
    return creation(look.source.publication, tables, _needed(look), via_root=partitioned)


def published_tables(look: Look) -> Iterator[Flaw]:
    """It publishes exactly the declared tables"""
    if not (found := look.publication):
        return
    publication, declared = name(look.source.publication), {table.name for table in look.source.tables}
    exactly = statement("ALTER PUBLICATION {} SET TABLE {}", publication, names(sorted(declared)))
    if found.all_tables:
        yield Flaw(
            "error",
            f"publication {look.source.publication} is for all tables",
            "the connector refuses it, as it can't be narrowed; every table's changes would be decoded",
            Mend(
                (statement("DROP PUBLICATION {}", publication), _creation(look)),
                advice="whoever reads by it meanwhile fails, so stop its readers first",
            ),
        )
        return
    others = [*sorted(found.tables - declared), *(f"all of schema {schema}" for schema in found.schemas)]
    schemas = {table for table in declared if table.split(".")[0] in found.schemas}
    missing = sorted(declared - found.tables - schemas)
    if not (missing or others):
        return
    said = [f"lacks {', '.join(missing)}"] if missing else []
    said += [f"also has {', '.join(others)}"] if others else []
    # Debezium brings it to the declared tables itself, where it may.
    itself = (
        not _left_alone(look) and found.owned and all(relation.owned for relation in look.relations.values())
    )
    yield Flaw(
        "info" if itself else "error",
        f"publication {look.source.publication} {' and '.join(said)}",
        "the connector alters it when it starts"
        if itself
        else "what is not published is not captured"
        if _left_alone(look)
        else "the connector tries to alter it, may not, and fails; what is not published is not captured",
        Mend(
            (exactly,),
            safe=not others and _all_publishable(look),
            advice="look first who else reads by it" if others else "",
        ),
    )


def published_whole(look: Look) -> Iterator[Flaw]:
    """It has no row filter and no list of columns (15 and newer)"""
    if not (found := look.publication):
        return
    declared = [table.name for table in look.source.tables]
    if filtered := [table for table in found.filtered if table in declared]:
        yield Flaw(
            "error",
            f"publication {look.source.publication} filters rows or columns of {', '.join(filtered)}",
            "changes are left out, and nothing says so",
            Mend(
                (
                    statement(
                        "ALTER PUBLICATION {} SET TABLE {}", name(look.source.publication), names(declared)
                    ),
                ),
                advice="somebody set the filter for a reason",
            ),
        )


def published_operations(look: Look) -> Iterator[Flaw]:
    """It publishes every operation that the connector does not skip"""
    if not (found := look.publication):
        return
    if missing := [operation for operation in _needed(look) if operation not in found.operations]:
        every = [*found.operations, *missing]
        ordered = ", ".join(operation for operation in OPERATIONS if operation in every)
        yield Flaw(
            "error",
            f"publication {look.source.publication} does not publish {', '.join(missing)}",
            "these changes never come, and nothing says so",
            Mend(
                (
                    statement(
                        "ALTER PUBLICATION {} SET (publish = {})",
                        name(look.source.publication),
                        sql.Literal(ordered),
                    ),
                ),
                safe=True,
            ),
        )


def _needed(look: Look) -> list[str]:
    return published_operations_of(look.config)


def _left_alone(look: Look) -> bool:
    """Whether the connector is told to take the publication as it is."""
    return look.config.get("publication.autocreate.mode") == "disabled"


def published_by_root(look: Look) -> Iterator[Flaw]:
    """Partitioned tables are published by their root"""
    partitioned = [relation.name for relation in look.relations.values() if relation.partitioned]
    if look.publication and partitioned and not look.publication.via_root:
        yield Flaw(
            "error",
            f"publication {look.source.publication} has {', '.join(partitioned)} by their partitions",
            "changes come under the partitions' names, which are not declared, and are left out",
            Mend(
                (
                    statement(
                        "ALTER PUBLICATION {} SET (publish_via_partition_root = true)",
                        name(look.source.publication),
                    ),
                ),
                safe=True,
            ),
        )
