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
    """One region of it, with the one cluster that stands behind all of its clusters."""

    def __init__(
        self, endpoint: str, region: str, record: Path, cluster: tuple[str, str] | None = None
    ) -> None:
        """`cluster`: address and authority of an API server; left out, clusters have moto's."""
        self.region, self._cluster = region, cluster
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

    def api_server(self, found: dict[str, Any]) -> dict[str, Any]:
        """What is said of where a cluster's API server is."""
        endpoint, authority = found["endpoint"].rstrip("/"), found["certificateAuthority"]
        if self._cluster is not None:
            endpoint, authority = self._cluster[0], {"data": self._cluster[1]}
        return {"endpoint": endpoint, "authority": authority}

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
