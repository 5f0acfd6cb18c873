"""Types of the declaration's fields, each with the text of what it allows."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from headrace.environment import names
from headrace.environment.duration import ALLOWED as A_DURATION
from headrace.environment.duration import Duration

SCRIPTED = "scripted"
"""The endpoint that stands for the stack's own scripted model."""


def checked(allowed: str, accepts: Any) -> AfterValidator:
    def check(value: Any) -> Any:
        if not accepts(value):
            raise PydanticCustomError("not_allowed", "{allowed}", {"allowed": allowed})
        return value

    return AfterValidator(check)


def matching(pattern: str, max_length: int | None = None) -> Any:
    return StringConstraints(strict=True, pattern=f"^(?:{pattern})$", max_length=max_length)


def is_loopback(host: str) -> bool:
    """Whether a host of a URL stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_endpoint(endpoint: str) -> bool:
    if endpoint == SCRIPTED:
        return True
    if re.search(r"\s", endpoint):
        return False
    try:
        url = urlsplit(endpoint)
        host, _port = url.hostname, url.port
    except ValueError:
        return False
    bare = not (url.username or url.password or url.query or url.fragment)
    secure = url.scheme == "https" or (url.scheme == "http" and host is not None and is_loopback(host))
    return bool(host) and bare and secure


def is_receiver(endpoint: str) -> bool:
    """Of OTLP over gRPC, which has no path."""
    if not is_endpoint(endpoint):
        return False
    url = urlsplit(endpoint)
    return url.port is not None and url.path in {"", "/"}


A_NAME = (
    "lowercase letters, digits and single dashes between them, starting with a letter, at most 63 characters"
)
A_POSITIVE = "a whole number, 1 or more"
AN_ENDPOINT = (
    "`scripted`, an `https://` URL, or an `http://` URL of this machine "
    "(loopback), without user, query or fragment"
)
A_RECEIVER = (
    "`https://HOST:PORT`, or `http://HOST:PORT` of this machine (loopback), without user, path, query or "
    "fragment"
)
A_KEY_REFERENCE = "`{env: NAME}` or `{file: /PATH}`, never the key itself"

A_CONDITION = "SQL as it stands after `WHERE`, without `;`, at most 2000 characters"

Name = Annotated[str, matching(names.NAME, 63)]
Count = Annotated[int, Field(strict=True, ge=1)]
Text = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200, strip_whitespace=True)]
TableName = Annotated[str, matching(names.TABLE, 127)]
ColumnName = Annotated[str, matching(names.COLUMN, 63)]
ColumnType = Annotated[
    str, matching(r"[a-z][a-z0-9_]*( [a-z]+)*(\([0-9]{1,4}(, ?[0-9]{1,4})?\))?( [a-z]+)*(\[\])?", 100)
]
SomeTime = Annotated[Duration, checked(f"{A_DURATION}; more than 0", lambda given: given.milliseconds > 0)]


Condition = Annotated[str, matching(r"[^;\x00]*[^;\s\x00][^;\x00]*", 2000)]


class Declared(BaseModel):
    """Frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
