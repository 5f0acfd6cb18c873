"""How the source databases of a stack on AWS are reached, and with which secret their role logs in."""

from __future__ import annotations

import json

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from headrace.capture.preflight import Access
from headrace.errors import HeadraceError
from headrace.provider.resource import Inputs

PASSWORD = "password"
WHERE = frozenset({"host", "port", "sslmode", "security_group_id", "client", "secret_arn"})
"""Inputs that say how a server is reached: which of them changed says nothing of what is in it."""


class SourceServer(Inputs):
    """The server of a source, as the connector gets there, too."""

    host: str
    port: int
    sslmode: str
    security_group_id: str
    """The server's."""
    client: str
    """Who has to be let in: the runner's security group, or in words where there is no runner."""
    secret_arn: str
    """Of the capturing role's password, which is read when it is used, and kept nowhere."""

    def capturing_role(self, database: str, role: str) -> Access:
        """Raises:
        HeadraceError: the secret can't be read, or has no password.
        """
        return Access(
            {
                "host": self.host,
                "port": self.port,
                "dbname": database,
                "user": role,
                "password": password_in(self.secret_arn),
                "sslmode": self.sslmode,
            },
            way_in=f"the way there: security group {self.security_group_id} has to let in TCP port"
            f" {self.port} from {self.client}",
        )


def password_in(arn: str) -> str:
    """What a secret has under ``password``.

    Raises:
        HeadraceError: it can't be read, or has none. What is in it is not quoted.
    """
    region = arn.split(":")[3]
    try:
        answer = boto3.client("secretsmanager", region_name=region).get_secret_value(SecretId=arn)
    except (BotoCoreError, ClientError) as error:
        raise HeadraceError(
            f"secret {arn} can't be read: {error}. Who runs this needs secretsmanager:GetSecretValue on it,"
            " and kms:Decrypt on its key"
        ) from None
    try:
        found = json.loads(answer.get("SecretString") or "null")
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get(PASSWORD), str):
        raise HeadraceError(
            f"secret {arn}: given no {PASSWORD}; allowed: a JSON object with the key {PASSWORD}"
        )
    return str(found[PASSWORD])
