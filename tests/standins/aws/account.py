"""The account that stands in for one of AWS's: clients of moto, and the record of what moto lacks."""

from __future__ import annotations

import fcntl
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.standins.values import Values

ACCOUNT = "123456789012"
"""moto's own."""


class Account:
    """One region of it."""

    def __init__(self, endpoint: str, region: str, record: Path) -> None:
        self.region = region
        self.record = Record(record)
        self._endpoint = endpoint
        self._session = boto3.Session(
            aws_access_key_id="stand-in", aws_secret_access_key="stand-in", region_name=region
        )
        # Two threads that make a client at once break the session's loader.
        self._client = cache(self._make)
        for service in SERVICES:
            self._client(service)

    def __getattr__(self, service: str) -> Any:
        return self._client(service.replace("_", "-"))

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{ACCOUNT}:{resource}"

    def _make(self, service: str) -> Any:
        # Addressed by path: bucket names as hosts would leave loopback.
        config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}, proxies={})
        return self._session.client(service, endpoint_url=self._endpoint, config=config)


SERVICES = (
    "amp",
    "application-autoscaling",
    "cloudwatch",
    "ec2",
    "ecr",
    "eks",
    "iam",
    "kafka",
    "kms",
    "logs",
    "s3",
    "sns",
    "sts",
)


class Record:
    """Resources that moto has no call for, in a file that outlives the provider: by type and id."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def get(self, kind: str, made: str) -> Values | None:
        with self._locked() as held:
            found: Values | None = held.get(kind, {}).get(made)
            return found

    def put(self, kind: str, made: str, values: Values) -> None:
        with self._locked() as held:
            held.setdefault(kind, {})[made] = values

    def remove(self, kind: str, made: str) -> None:
        with self._locked() as held:
            held.get(kind, {}).pop(made, None)

    def all(self, kind: str) -> dict[str, Values]:
        with self._locked() as held:
            return dict(held.get(kind, {}))

    def left(self) -> list[str]:
        """``type id`` of everything that is there."""
        with self._locked() as held:
            return sorted(f"{kind} {made}" for kind, each in held.items() for made in each)

    @contextmanager
    def _locked(self) -> Iterator[dict[str, dict[str, Values]]]:
        """The whole record; what is changed in it is kept. Other providers and the test use the same file."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            text = file.read()
            held: dict[str, dict[str, Values]] = json.loads(text or "{}")
            yield held
            after = json.dumps(held, sort_keys=True, indent=1)
            if after != text:
                file.seek(0)
                file.truncate()
                file.write(after)


def identifier() -> str:
    return str(uuid.uuid4())
