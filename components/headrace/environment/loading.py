"""From a file or from data to an :class:`Environment`, or to one error with every problem."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from headrace.environment import names, rules, yaml_text
from headrace.environment.fields import is_secret, kind_of, models_in, what_is_allowed
from headrace.environment.model import Environment
from headrace.environment.problem import DeclarationError, Path, Problem
from headrace.environment.types import A_NAME

CONFIG_KEY = "headrace:environment"
"""Where the declaration stands under ``config`` of a stack's file."""
SHOWN_CHARS = 80
STANDS_FOR_A_NAME = "environment"
"""Used for a refused name, so that the rest of the declaration is checked all the same."""


def load_environment(path: FilePath, name: str | None = None) -> Environment:
    """Read the declaration from a stack's file.

    ``name`` is the environment's; left out, it comes from the file's name, ``Pulumi.<name>.yaml``.
    Raises :class:`DeclarationError` with every problem, each with its line.
    """
    origin = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        given = wrong.strerror if isinstance(wrong, OSError) else "bytes that are not UTF-8"
        raise DeclarationError(
            origin, (Problem((), f"{given}", "a readable stack file with a declaration"),)
        ) from None
    document = yaml_text.read(text)
    if document.problems:
        raise DeclarationError(origin, tuple(document.problems))
    declaration = _under_config(origin, document.data)
    lines = {at[2:]: line for at, line in document.lines.items() if at[:2] == ("config", CONFIG_KEY)}
    return _parse(declaration, origin, _name(origin, path, name), lines)


def parse_environment(data: Mapping[str, Any], origin: str, name: str) -> Environment:
    """Check a declaration that is plain data already; ``origin`` says in errors where it came from."""
    return _parse(data, origin, name, {})


def _name(origin: str, path: FilePath, given: str | None) -> str:
    if given is not None:
        return given
    match = re.fullmatch(r"Pulumi\.(.+)\.ya?ml", path.name)
    if match is None:
        problem = Problem((), f"a file named {path.name!r}", "`Pulumi.<name>.yaml`, or a name of its own")
        raise DeclarationError(origin, (problem,))
    return match[1]


def _under_config(origin: str, data: Any) -> Any:
    config = data.get("config") if isinstance(data, dict) else None
    if not isinstance(config, dict) or CONFIG_KEY not in config:
        raise DeclarationError(
            origin, (Problem(("config", CONFIG_KEY), "nothing", "the declaration of one environment"),)
        )
    return config[CONFIG_KEY]


def _parse(data: Any, origin: str, name: str, lines: Mapping[Path, int]) -> Environment:
    problems = list(_name_problems(name))
    if not isinstance(data, Mapping):
        raise DeclarationError(origin, (Problem((), _shown(data), "a mapping of fields", lines.get(())),))
    if "name" in data:
        problems.append(
            Problem(("name",), _shown(data["name"]), "no such field; the stack's file name gives the name")
        )
    fields = {field: value for field, value in data.items() if field != "name"}
    environment, invalid = _validated({**fields, "name": STANDS_FOR_A_NAME if problems else name})
    found = [*problems, *invalid, *rules.problems(fields, name)]
    if environment is None or found:
        raise DeclarationError(origin, tuple(_with_line(problem, lines) for problem in found))
    return environment


def _validated(fields: Mapping[str, Any]) -> tuple[Environment | None, list[Problem]]:
    try:
        return Environment.model_validate(fields), []
    except ValidationError as invalid:
        return None, [_problem(error) for error in _innermost(invalid.errors(include_url=False))]


def _innermost(errors: list[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Without what only follows: a list is "too short" when its only item is wrong."""
    for error in errors:
        path = error["loc"]
        deeper = any(other["loc"][: len(path)] == path and other["loc"] != path for other in errors)
        if not (error["type"] == "too_short" and deeper):
            yield error


def _name_problems(name: str) -> Iterator[Problem]:
    if not re.fullmatch(names.NAME, name) or len(name) > 63:
        yield Problem((), f"the environment's name {name!r}", A_NAME)


def _with_line(problem: Problem, lines: Mapping[Path, int]) -> Problem:
    """The problem with the line of its path or, for what is missing, of what it is missing from."""
    if problem.line is not None:
        return problem
    near = next(
        (problem.path[:n] for n in range(len(problem.path), -1, -1) if problem.path[:n] in lines), None
    )
    return Problem(problem.path, problem.given, problem.allowed, None if near is None else lines[near])


def _problem(error: ErrorDetails) -> Problem:
    at = tuple(step for step in error["loc"] if step != "[key]")
    if error["type"].startswith("union_tag"):
        return _wrong_kind(at, error["input"])
    models = list(_models(at))
    path = tuple(step for step, model in zip(at, models, strict=True) if step != kind_of(model))
    if error["type"] == "extra_forbidden":
        return Problem(path, "an unknown field", _allowed_names(models[-1], str(path[-1])))
    field = _field(at)
    allowed = (what_is_allowed(field) if field else None) or error["msg"]
    if error["type"] == "missing":
        return Problem(path, "nothing", f"required: {allowed}")
    hidden = field is not None and is_secret(field)
    return Problem(path, "a value that is not shown" if hidden else _shown(error["input"]), allowed)


def _wrong_kind(at: Path, given: Any) -> Problem:
    """Of a union's model: it has no ``kind``, or an unknown one."""
    field = _field(at)
    kinds = [f"`{kind_of(model)}`" for model in models_in(field.annotation if field else None)]
    kind = given.get("kind") if isinstance(given, Mapping) else given
    return Problem((*at, "kind"), _shown(kind), " or ".join(kinds))


def _allowed_names(model: type[BaseModel], given: str) -> str:
    known = [field for field in model.model_fields if (model, field) != (Environment, "name")]
    nearest = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    suggestion = f" (did you mean `{nearest[0]}`?)" if nearest else ""
    return ", ".join(known) + suggestion


def _models(at: Path) -> Iterator[type[BaseModel]]:
    """For each step of an error's place, the model that it is a step in; a union's kind is a step too."""
    model: type[BaseModel] = Environment
    candidates: list[type[BaseModel]] = []
    for step in at:
        chosen = next((one for one in candidates if kind_of(one) == step), None)
        model = chosen or model
        yield model
        if chosen is None and isinstance(step, str) and step in model.model_fields:
            candidates = models_in(model.model_fields[step].annotation)
            model = candidates[0] if len(candidates) == 1 else model
        else:
            candidates = []


def _field(at: Path) -> FieldInfo | None:
    """The field that a place is in: of ``columns.id``, the field ``columns``."""
    field: FieldInfo | None = None
    for step, model in zip(at, _models(at), strict=True):
        if isinstance(step, str) and step in model.model_fields:
            field = model.model_fields[step]
    return field


def _shown(value: Any) -> str:
    """A value as an error quotes it: short, and without what may be secret inside."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    text = re.sub(r"(?<=//)[^/@]*@|(?<=\?).*(?=')", "***", repr(value))
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."
