"""What inputs a type of pulumi-aws has, from the source of its Python package, which carries no schema.

The package is generated from the provider's schema: an argument without a default is required, and a getter
names the property as the engine spells it. The file is read, not imported: that would take seconds.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from pathlib import Path


@dataclass(frozen=True)
class Schema:
    """Names of properties, as in ``clusterName``."""

    inputs: frozenset[str]
    required: frozenset[str]
    outputs: frozenset[str]
    """All of a resource's properties, inputs among them."""


@cache
def schema(token: str) -> Schema:
    """Of a type such as ``aws:eks/accessEntry:AccessEntry``.

    Raises:
        FileNotFoundError: the package has no such type.
    """
    module, name = token.removeprefix("aws:").split(":")
    file = _package() / f"{_snake(module)}.py"
    classes = {
        node.name: node
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    }
    # Where another type has inputs of that name, the resource's own are called so.
    arguments, resource = classes.get(f"{name}InitArgs") or classes[f"{name}Args"], classes[name]
    spelled = _spelled(arguments)
    return Schema(
        inputs=frozenset(spelled.values()),
        required=frozenset(spelled[each] for each in _required(arguments)),
        outputs=frozenset(_spelled(resource).values()),
    )


@cache
def _package() -> Path:
    return Path(str(distribution("pulumi-aws").locate_file("pulumi_aws")))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _spelled(node: ast.ClassDef) -> dict[str, str]:
    """By the name in Python, the property of each getter."""
    found = {}
    for method in node.body:
        if not isinstance(method, ast.FunctionDef):
            continue
        for decorator in method.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if isinstance(called, ast.Attribute) and called.attr == "getter":
                found[method.name] = _name_given(decorator) or method.name
    return found


def _name_given(decorator: ast.expr) -> str | None:
    keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
    given = next((each.value for each in keywords if each.arg == "name"), None)
    return str(given.value) if isinstance(given, ast.Constant) else None


def _required(node: ast.ClassDef) -> list[str]:
    (init,) = (each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__")
    both = zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
    return [argument.arg for argument, default in both if default is None]
