"""Values that examples of several subjects share."""

from __future__ import annotations

import json
from typing import Any

TAGS = {"environment": "prod", "owner": "orders", "cost-centre": "4711"}
KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd"
BUCKET = "arn:aws:s3:::orders"
ROLE = "arn:aws:iam::111122223333:role/orders"


def document(**statement: Any) -> str:
    """A policy document with one statement, which allows unless it says otherwise."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow"} | statement]})
