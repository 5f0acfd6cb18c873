"""MySQL and MariaDB in the declaration: what fits one engine alone is refused with another, by its name."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.environment import DeclarationError, names
from headrace.environment.engines import ENGINES, SERVER_ID_MAX, Engine
from headrace.environment.problem import dotted
from tests.unit.environment.binlog import DATABASE, of_engine
from tests.unit.environment.declarations import AWS, database, on_aws, parsed, shipped

of_a_binlog = pytest.mark.parametrize("engine", ["mysql", "mariadb"])
AGAIN = {"id": "again", "tables": [f"{DATABASE}.customers"]}


def refusals(declaration: dict[str, Any]) -> dict[str, tuple[str, str]]:
    with pytest.raises(DeclarationError) as refused:
        parsed(declaration)
    return {dotted(each.path): (each.given, each.allowed) for each in refused.value.problems}


@of_a_binlog
def test_a_source_is_declared_with_its_tables_named_after_its_database(engine: Engine) -> None:
    environment = parsed(of_engine(engine))
    (source,) = environment.sources
    assert (source.engine, source.database, source.server_id) == (engine, DATABASE, None)
    assert all(table.name.startswith(f"{DATABASE}.") for table in source.tables)
    assert all(each.startswith(f"{source.name}.{DATABASE}.") for a in environment.agents for each in a.inputs)


@of_a_binlog
def test_on_this_machine_another_engine_is_refused_with_what_is_possible(engine: Engine) -> None:
    declaration = of_engine(engine) | {"substrate": shipped()["substrate"]}
    given, allowed = refusals(declaration)["sources[0].engine"]
    assert given == f"{engine!r}"
    assert "`postgresql`" in allowed
    assert "substrate.kind `aws`" in allowed


def test_what_fits_one_engine_alone_is_refused_with_another() -> None:
    of_postgresql = on_aws()
    of_postgresql["sources"][0]["server_id"] = 7
    given, allowed = refusals(of_postgresql)["sources[0].server_id"]
    assert (given, "`postgresql`" in allowed) == ("7", True)


@of_a_binlog
@pytest.mark.parametrize(
    ("change", "path", "given", "allowed"),
    [
        ({"server_id": 0}, "sources[0].server_id", "0", f"from 1 to {SERVER_ID_MAX}"),
        ({"server_id": 2**32}, "sources[0].server_id", str(2**32), f"from 1 to {SERVER_ID_MAX}"),
        ({"backfills": [AGAIN]}, "sources[0].backfills", "1 of them", "left out: engine is `m"),
        ({"database": "store"}, "sources[0].tables[0].name", "'shop.customers'", "`store.table`"),
    ],
)
def test_what_the_server_would_not_take_is_refused(
    engine: Engine, change: dict[str, Any], path: str, given: str, allowed: str
) -> None:
    found = refusals(of_engine(engine, **change))[path]
    assert found[0] == given
    assert allowed in found[1]


@pytest.mark.parametrize(("engine", "chars"), [("mysql", 32), ("mariadb", 80)])
def test_a_users_name_is_as_long_as_the_engine_takes(engine: Engine, chars: int) -> None:
    longest = chars - len("headrace_local_")
    assert ENGINES[engine].role_max_chars == chars

    def named(length: int) -> dict[str, Any]:
        declaration = of_engine(engine)
        declaration["sources"][0]["name"] = name = "s" * length
        declaration["substrate"] = AWS | {"databases": [database(name)]}
        for agent in declaration["agents"]:
            agent["inputs"] = [f"{name}.{each.split('.', 1)[1]}" for each in agent["inputs"]]
        return declaration

    if longest + 1 <= 63:  # the longest name of a source
        given, allowed = refusals(named(longest + 1))["sources[0].name"]
        assert f"has {chars + 1} characters" in given
        assert allowed == f"a user name of at most {chars} characters"
    parsed(named(min(longest, 63)))


def test_server_ids_stay_and_are_apart_and_in_range() -> None:
    ids = {
        (environment, source): names.server_id(environment, source)
        for environment in ("prod", "dev", *(f"e{number}" for number in range(50)))
        for source in ("support", *(f"s{number}" for number in range(50)))
    }
    assert names.server_id("prod", "support") == 2312434860
    assert all(names.SERVER_IDS_FROM <= each <= SERVER_ID_MAX for each in ids.values())
    assert len(set(ids.values())) == len(ids)


@pytest.mark.parametrize("first", [5, None], ids=["declared", "worked out"])
def test_two_sources_with_one_server_id_are_refused(first: int | None) -> None:
    declaration = of_engine("mysql", **({} if first is None else {"server_id": first}))
    second = declaration["sources"][0] | {"name": "second"}
    second["server_id"] = first or names.server_id("local", declaration["sources"][0]["name"])
    declaration["sources"].append(second)
    declaration["substrate"] = AWS | {"databases": [database("support"), database("second")]}
    given, allowed = refusals(declaration)["sources[1].server_id"]
    assert given == f"{second['server_id']}, which source support has"
    assert allowed == "each source another"
