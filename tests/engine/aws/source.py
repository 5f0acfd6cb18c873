"""The database that a stack on AWS captures: a real server on loopback, and its secret in moto."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from headrace.local.files import StackFiles
from headrace.local.provider.database import DatabaseKind
from headrace.local.provider.publication import PublicationKind
from headrace.local.secrets import SUPERUSER_PASSWORD, write_secret
from headrace.local.source import database_of, publication_of
from headrace.local.source_access import password_file
from headrace.plan.model import PostgresqlSourcePlan
from tests.engine.aws.scene import REGION
from tests.engine.capture.server import PASSWORD, Server
from tests.standins.aws.account import Account
from tests.standins.place import Place


class CapturedDatabase:
    """Ready to be captured: tables, role and publication, as an administrator would make them."""

    def __init__(self, server: Server, plan: PostgresqlSourcePlan, place: Place, folder: Path) -> None:
        self.server, self.plan = server, plan
        self.password = f"of the role {uuid.uuid4().hex}"
        files = StackFiles(folder)
        write_secret(files.secret(SUPERUSER_PASSWORD), PASSWORD)
        write_secret(password_file(files, plan.name), f"password={self.password}\n")
        DatabaseKind().create(database_of(plan, files, server.port))
        PublicationKind().create(publication_of(plan, files, server.port))
        secrets = Account(place.aws_endpoint, REGION, place.record).secretsmanager
        self.secret_arn: str = secrets.create_secret(
            Name=f"headrace/{plan.name}", SecretString=json.dumps({"password": self.password})
        )["ARN"]

    @property
    def address(self) -> dict[str, Any]:
        """What a program is told of it."""
        return {"host": "127.0.0.1", "port": self.server.port, "secret": self.secret_arn}

    def run(self, *statements: str) -> None:
        """As an administrator."""
        with self.server.connect(self.plan.database) as connection:
            for statement in statements:
                connection.execute(statement)

    def slots(self) -> list[str]:
        with self.server.connect() as connection:
            return [name for (name,) in connection.execute("SELECT slot_name FROM pg_replication_slots")]

    def remove(self) -> None:
        with self.server.connect() as connection:
            connection.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
            connection.execute(f"DROP DATABASE {self.plan.database} WITH (FORCE)")
            connection.execute(f"DROP ROLE {self.plan.slot}")


def credentials(place: Place) -> dict[str, str]:
    """Of whoever brings the stack up: what the provider reads the secret with."""
    return {
        "AWS_ENDPOINT_URL": place.aws_endpoint,
        "AWS_ACCESS_KEY_ID": "stand-in",
        "AWS_SECRET_ACCESS_KEY": "stand-in",
    }
