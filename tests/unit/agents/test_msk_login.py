from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from confluent_kafka import Consumer, Producer

from headrace_agents.msk_login import MECHANISM, with_login

ON_MSK = {
    "security.protocol": "sasl_ssl",
    "sasl.mechanism": MECHANISM,
    "sasl.oauthbearer.config": "region=eu-central-1",
}


@pytest.fixture(autouse=True)
def of_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up credentials, where AWS's client looks first."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")


def test_where_no_token_is_asked_for_nothing_is_added() -> None:
    assert with_login({"security.protocol": "plaintext"}) == {"security.protocol": "plaintext"}


@pytest.mark.parametrize("configured", [None, "", "region=", "eu-central-1"])
def test_without_a_region_no_client_is_made(configured: str | None) -> None:
    properties = {"sasl.mechanism": MECHANISM}
    if configured is not None:
        properties["sasl.oauthbearer.config"] = configured
    with pytest.raises(ValueError, match="allowed: `region=` and a region"):
        with_login(properties)


def test_the_token_is_a_signed_request_to_connect_in_the_region_that_ends_in_minutes() -> None:
    token, expires = with_login(ON_MSK)["oauth_cb"](ON_MSK["sasl.oauthbearer.config"])
    url = urlsplit(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    query = {name: value for name, (value,) in parse_qs(url.query).items()}
    assert url.hostname == "kafka.eu-central-1.amazonaws.com"
    assert query["Action"] == "kafka-cluster:Connect"
    assert query["X-Amz-Credential"].split("/")[:1] == ["AKIDEXAMPLE"]
    assert query["X-Amz-Credential"].split("/")[2:4] == ["eu-central-1", "kafka-cluster"]
    assert 60 < expires - time.time() < 3600


@pytest.mark.parametrize("make", [Producer, Consumer])
def test_a_client_asks_for_a_token_by_itself(make: Callable[[dict[str, object]], object]) -> None:
    """The journal's clients are asked for offsets before they are polled."""
    asked, given = threading.Event(), []
    properties = with_login(ON_MSK)
    sign = properties["oauth_cb"]

    def ask(configured: str) -> tuple[str, float]:
        given.append(configured)
        asked.set()
        found: tuple[str, float] = sign(configured)
        return found

    client = make(
        {**properties, "oauth_cb": ask, "bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0}
    )
    assert asked.wait(30), client
    assert given == ["region=eu-central-1"]
