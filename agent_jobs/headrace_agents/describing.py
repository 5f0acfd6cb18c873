"""The manifest of an agent, from its class as it is installed here."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from headrace_agents import codec
from headrace_agents.agent import Agent, AgentError, Outline, outline_of
from headrace_agents.code import RUNTIME_PACKAGE, code_digest, package_folder, package_of
from headrace_agents.manifest import Manifest, Manifests, MemoryShape, Shape
from headrace_agents.operators import OPERATORS
from headrace_agents.prompts import Template
from headrace_agents.shapes import shape_of
from headrace_agents.step_names import steps_of

DISTRIBUTION = "headrace-agents"


def manifests_of(entry_points: Iterable[str]) -> Manifests:
    """Of several agents. Raises as :func:`manifest_of` does."""
    return Manifests(agents={each: manifest_of(each) for each in entry_points})


def manifest_of(entry_point: str) -> Manifest:
    """Of ``package.module:Class``; its settings need not be known.

    Raises:
        AgentError: the class does not load, or is no agent.
        NoPackageError: its package is a single module.
    """
    said = outline_of(entry_point)
    packages = (RUNTIME_PACKAGE, package_of(entry_point))
    prompts = _prompts(said.settings_type)
    return Manifest(
        entry_point=entry_point,
        runtime_version=version(DISTRIBUTION),
        flink_version=_flink_version(),
        state_format=codec.VERSION,
        operators=OPERATORS,
        memory=MemoryShape(
            version=said.memory_version,
            migrates_from=tuple(sorted(said.migrations)),
            shape=shape_of(said.memory_type),
        ),
        reminders=tuple(shape_of(said.reminders[name].payload_type) for name in sorted(said.reminders)),
        answers=None if said.answers is None else shape_of(said.answers.payload_type),
        decisions=_decisions(said),
        settings=_without_texts(shape_of(said.settings_type), prompts),
        prompts={name: hashlib.sha256(text.encode()).hexdigest() for name, text in prompts.items()},
        steps=steps_of(said.agent_class),
        code=code_digest(*packages),
        python_code=code_digest(*packages, only="*.py"),
    )


def _flink_version() -> str:
    """Empty in an environment that no job runs in."""
    try:
        return version("apache-flink")
    except PackageNotFoundError:
        return ""


def agents_of(package: str) -> tuple[str, ...]:
    """Entry points of all agents that a package's modules define.

    Raises:
        AgentError: one of its modules can't be imported.
        NoPackageError: it is not installed.
    """
    folder = package_folder(package)
    names = [package, *(each.name for each in pkgutil.walk_packages([str(folder)], f"{package}."))]
    return tuple(entry_point for name in sorted(names) for entry_point in _defined_in(name))


def _defined_in(module_name: str) -> list[str]:
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # importing runs the module's own code
        raise AgentError(f"can't import {module_name}: {type(error).__name__}: {error}") from error
    return sorted(
        f"{module_name}:{name}" for name, found in vars(module).items() if _is_agent(found, module_name)
    )


def _is_agent(found: Any, module_name: str) -> bool:
    return isinstance(found, type) and issubclass(found, Agent) and found.__module__ == module_name


def _decisions(said: Outline) -> tuple[Shape, ...]:
    return tuple(shape_of(kind) for kind in sorted(said.decision_types, key=lambda each: each.__name__))


def _prompts(settings: type[BaseModel]) -> dict[str, str]:
    """Settings that are templates, with the texts that stand beside the agent."""
    return {
        name: "" if field.default is PydanticUndefined else str(field.default)
        for name, field in settings.model_fields.items()
        if any(isinstance(each, Template) for each in field.metadata)
    }


def _without_texts(shape: Shape, prompts: Iterable[str]) -> Shape:
    """Prompts have digests; their texts would only be long here."""
    read, written = (
        schema
        | {
            "properties": {
                name: {k: v for k, v in each.items() if name not in prompts or k != "default"}
                for name, each in schema.get("properties", {}).items()
            }
        }
        for schema in (shape.read, shape.written)
    )
    return shape.model_copy(update={"read": read, "written": written})
