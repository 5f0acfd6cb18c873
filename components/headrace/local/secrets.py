"""Secrets of a local stack: random, each in a file of its own that only this user can read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

SUPERUSER_PASSWORD = "postgres.password"


def write_secret(path: Path, content: str) -> None:
    """Write `content` so that it is never readable by others, nor half written."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
    partial.rename(path)


def ensure_password(path: Path, template: str = "{}") -> None:
    """A random password in `path`, put into `template`, unless there is one already."""
    if not path.exists():
        write_secret(path, template.format(secrets.token_urlsafe(24)))


def read_property(path: Path, name: str) -> str:
    """Value of ``name=value`` in a properties file."""
    for line in path.read_text().splitlines():
        key, _, value = line.partition("=")
        if key == name:
            return value
    raise KeyError(f"{path} has no property {name}")
