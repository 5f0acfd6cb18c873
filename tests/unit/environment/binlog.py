"""The shipped declaration on AWS, with its source in MySQL or MariaDB."""

from __future__ import annotations

from typing import Any

from headrace.environment.engines import Engine
from tests.unit.environment.declarations import on_aws

DATABASE = "shop"


def of_engine(engine: Engine, **source: Any) -> dict[str, Any]:
    """The same tables, named after the database; fields of the source as given."""
    declaration = on_aws()
    (captured,) = declaration["sources"]
    captured |= {"engine": engine, "database": DATABASE} | source
    for table in captured["tables"]:
        table["name"] = renamed(table["name"])
    for agent in declaration["agents"]:
        agent["inputs"] = [renamed(name) for name in agent["inputs"]]
    return declaration


def renamed(name: str) -> str:
    """``public.tickets`` -> ``shop.tickets``, with a source before it or not."""
    return name.replace("public.", f"{DATABASE}.")
