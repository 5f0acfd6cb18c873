"""An account of moto's for the tests of this folder, and a folder for what is recorded of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.aws.scene import REGION
from tests.standins.aws.account import Account
from tests.standins.place import Place
from tests.standins.servers import moto, reset


@pytest.fixture(scope="session")
def aws_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto(tmp_path_factory.mktemp("moto")) as address:
        yield address


@pytest.fixture
def place(aws_endpoint: str, tmp_path: Path) -> Place:
    """Of an account in which there is nothing."""
    reset(aws_endpoint)
    return Place(tmp_path / "place", aws_endpoint=aws_endpoint)


@pytest.fixture
def cloud(place: Place) -> Callable[[str], Any]:
    """A client of a service, for what is done behind the engine's back."""
    account = Account(place.aws_endpoint, REGION, place.record)
    return lambda service: getattr(account, service)
