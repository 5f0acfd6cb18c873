"""Each constant of declaration and plan has one name in one place, and each option one author."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace import plan

PACKAGE = Path(plan.__file__).parents[1]
CONVERTERS = {f"{side}.converter{below}" for side in ("key", "value") for below in ("", ".schemas.enable")}
LISTS = {"RULES"}
"""Of a module's own functions."""
LARGEST_UNNAMED = 100
"""A larger number in a function is a constant without a name, that the next function would repeat."""


def modules(*packages: str) -> Iterator[tuple[str, ast.Module]]:
    for package in packages:
        for path in sorted((PACKAGE / package).rglob("*.py")):
            yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text(encoding="utf-8"))


def constants(module: ast.Module) -> Iterator[str]:
    """Names in capitals that are assigned at the module's level."""
    for statement in module.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        for target in targets:
            for name in ast.walk(target):
                if isinstance(name, ast.Name) and name.id.isupper() and len(name.id) > 1:
                    yield name.id


def functions(module: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef):
            yield from node.body


def option_keys(module: ast.Module) -> Iterator[str]:
    """Keys with a dot in the mappings that functions write: options of Flink, Kafka, Connect, Debezium."""
    for body in functions(module):
        for node in ast.walk(body):
            for key in node.keys if isinstance(node, ast.Dict) else []:
                if isinstance(key, ast.Constant) and isinstance(key.value, str) and "." in key.value:
                    yield key.value


def test_no_name_of_a_constant_is_in_two_modules() -> None:
    where: dict[str, list[str]] = {}
    for path, module in modules("environment", "plan"):
        for name in set(constants(module)):
            where.setdefault(name, []).append(path)
    assert {name: paths for name, paths in where.items() if len(paths) > 1 and name not in LISTS} == {}


def test_no_function_of_the_plan_has_a_large_number_of_its_own() -> None:
    unnamed = {
        (path, node.value)
        for path, module in modules("plan")
        for body in functions(module)
        for node in ast.walk(body)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, (int, float))
        and node.value >= LARGEST_UNNAMED
    }
    assert unnamed == set()


@pytest.mark.parametrize("on_aws", [False, True])
def test_no_option_is_written_in_two_places(on_aws: bool) -> None:
    """But for those that Connect's worker, its connectors, topics and clients have, in another meaning."""
    clients = {
        "bootstrap.servers",
        "enable.auto.commit",
        "group.id",
        "message.max.bytes",
        "security.protocol",
        "sasl.mechanism",
    }
    shared = {"heartbeat.interval.ms", "min.insync.replicas", *clients, *CONVERTERS}
    of_substrate = [
        module for path, module in modules("plan", "local") if path.startswith("plan/aws/") == on_aws
    ]
    times = Counter(key for module in of_substrate for key in option_keys(module))
    assert times
    assert {key: count for key, count in times.items() if count > 1 and key not in shared} == {}
