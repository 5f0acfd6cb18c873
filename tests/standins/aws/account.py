"""The account that stands in for one of AWS's: clients of moto, and the record of what moto lacks."""

from __future__ import annotations

import uuid
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.standins.record import Record

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
    "secretsmanager",
    "sns",
    "ssm",
    "sts",
)


def identifier() -> str:
    return str(uuid.uuid4())
