"""Plain functions as tools of a model: their JSON schema, and calls with the arguments that a model wrote."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NotRequired, get_type_hints

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError, with_config
from pydantic_core import PydanticSerializationError, to_json
from typing_extensions import TypedDict

from headrace_agents.chat import ToolSchema

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_KNOWN = 1024
_MOST_WRONG = 10

IDEMPOTENCY_KEY = "idempotency_key"
"""A parameter of this name gets the step's key; no model is told of it."""


class ToolError(Exception):
    """Raised by a tool to tell the model what went wrong; the run goes on."""


@dataclass(frozen=True, slots=True)
class _Described:
    schema: ToolSchema
    arguments: TypeAdapter[dict[str, Any]]
    wants_key: bool


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call."""

    schema: ToolSchema
    function: Callable[..., Any]
    arguments: TypeAdapter[dict[str, Any]]
    wants_key: bool

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Tool:
        """A function or a bound method, plain or async, as a tool of its name.

        Every parameter has a type; what a model is to know of it stands in the docstring or in
        ``Annotated[int, Field(description=...)]``. A parameter ``idempotency_key`` is the runtime's to give.
        Raises TypeError naming the function and the parameter.
        """
        described = _described(function)
        return cls(described.schema, function, described.arguments, described.wants_key)

    async def call(self, arguments: str, idempotency_key: str) -> str:
        """What the model is told: the result (text as it is, all else as JSON), or what was wrong.

        Wrong are arguments that do not fit, and what the function says by raising ToolError. Any other
        exception of the function passes through. Raises TypeError for a result that JSON can't hold.
        """
        try:
            given = self.arguments.validate_json(arguments or "{}")
        except ValidationError as error:
            return f"error: the arguments do not fit: {what_is_wrong(error)}"
        try:
            own = {IDEMPOTENCY_KEY: idempotency_key} if self.wants_key else {}
            result = self.function(**given, **own)
            if inspect.isawaitable(result):
                result = await result
        except ToolError as error:
            return f"error: {error}"
        except SystemExit as error:  # in a task of its own it would end the loop with all its runs
            raise RuntimeError(f"tool {self.schema.name} raised SystemExit") from error
        return self._told(result)

    def _told(self, result: Any) -> str:
        if isinstance(result, str):
            return result
        try:
            return to_json(result).decode()
        except PydanticSerializationError as error:
            raise TypeError(f"tool {self.schema.name}: its result is no JSON: {error}") from error


def what_is_wrong(error: ValidationError) -> str:
    """One line for a model: each wrong field and what is wanted, ten of them at most."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{'.'.join(map(str, at['loc'])) or 'all of it'}: {at['msg']}" for at in details[:_MOST_WRONG]]
    more = len(details) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")


_known: dict[tuple[object, ...], _Described] = {}
"""By what makes a function's schema: one that is defined within a handler is another object in every run."""


def _described(function: Callable[..., Any]) -> _Described:
    plain = getattr(function, "__func__", function)
    code = getattr(plain, "__code__", None)
    if code is None:
        raise TypeError(f"tool {function!r} is neither a function nor a bound method")
    annotations = tuple(plain.__annotations__.items())
    key = (code, plain.__module__, plain.__qualname__, plain is function, annotations)
    try:
        found = _known.get(key)
    except TypeError:  # an annotation that can't be hashed
        return _describe(function)
    if found is None:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        found = _known[key] = _describe(function)
    return found


def _describe(function: Callable[..., Any]) -> _Described:
    name = function.__name__
    where = f"tool {function.__module__}.{function.__qualname__}"
    if not _NAME.fullmatch(name):
        raise TypeError(f"{where}: a tool's name has 1 to 64 of A-Z, a-z, 0-9, _ and -")
    parameters = dict(inspect.signature(function).parameters)
    wants_key = parameters.pop(IDEMPOTENCY_KEY, None) is not None
    arguments = TypeAdapter[dict[str, Any]](_arguments_type(function, parameters.values(), where))
    schema = ToolSchema(name, inspect.getdoc(function) or "", arguments.json_schema())
    return _Described(schema, arguments, wants_key)


def _arguments_type(function: Callable[..., Any], parameters: Iterable[inspect.Parameter], where: str) -> Any:
    """A typed dict, not a model: any name of a parameter can be a key, and what is left out stays out."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise TypeError(f"{where}: annotations can't be resolved: {error}") from error
    fields: dict[str, Any] = {}
    for parameter in parameters:
        at = f"{where}: parameter {parameter.name!r}"
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"{at} is {parameter.kind.description}; a model gives arguments by name")
        if parameter.name not in hints:
            raise TypeError(f"{at} has no type, from which the model's schema is made")
        hint = hints[parameter.name]
        try:
            TypeAdapter(hint).json_schema()
        except (PydanticUserError, NameError) as error:
            raise TypeError(f"{at} has a type without a JSON schema: {error}") from error
        optional = parameter.default is not parameter.empty
        fields[parameter.name] = NotRequired[hint] if optional else hint
    make: Any = TypedDict  # its fields are known only here, which no checker can follow
    return with_config(ConfigDict(extra="forbid"))(make(function.__name__, fields))
