"""Names of an agent's steps, as its source says them.

Read from the source, not from runs: what a handler would do can't be known without running it. It is good for
saying what a new version leads to for runs in flight, and for nothing that has to be right.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from typing import Any

from headrace_agents.code import RUNTIME_PACKAGE, package_of
from headrace_agents.manifest import Steps


def steps_of(agent_class: type[Any]) -> Steps:
    """``ctx.step``, ``ctx.model`` with its tools, ``ctx.embed``, in the modules of the class and its bases.

    What is called by another name, or from another module, is not found.
    """
    found: set[str] = set()
    dynamic = False
    for module in sorted(_modules(agent_class)):
        try:
            source = inspect.getsource(sys.modules[module])
        except (OSError, TypeError):  # it has no file
            dynamic = True
            continue
        for name in _names(ast.parse(source)):
            if name is None:
                dynamic = True
            else:
                found.add(name)
    return Steps(names=tuple(sorted(found)), dynamic=dynamic)


def _modules(agent_class: type[Any]) -> set[str]:
    written = (each.__module__ for each in agent_class.__mro__)
    return {module for module in written if package_of(module) not in {RUNTIME_PACKAGE, "builtins", "typing"}}


def _names(tree: ast.AST) -> Iterator[str | None]:
    """Of each call of a step; None for one that is no literal."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        options = {each.arg: each.value for each in node.keywords}
        match node.func.attr:
            case "step" if node.args:
                yield _literal(node.args[0])
            case "model" | "embed" as usual if node.args:
                yield _literal(options["name"]) if "name" in options else usual
                yield from _tools(options.get("tools"))


def _tools(given: ast.expr | None) -> Iterator[str | None]:
    if given is None:
        return
    if not isinstance(given, ast.List | ast.Tuple):
        yield None
        return
    for each in given.elts:
        match each:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                yield name
            case _:
                yield None


def _literal(given: ast.expr) -> str | None:
    return given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else None
