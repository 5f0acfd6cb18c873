"""An account of moto's and a Kubernetes API server for the tests of this folder, empty for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from headrace.toolchain import kubernetes_for_tests
from headrace.toolchain.runtimes import Runtimes
from tests.engine.aws.cluster import clear, objects, place_with
from tests.engine.aws.scene import REGION
from tests.engine.capture.server import Server
from tests.standins.aws.account import Account
from tests.standins.kubernetes import definitions
from tests.standins.kubernetes.api import Api
from tests.standins.place import Place
from tests.standins.servers import ApiServer, kubernetes, moto, reset


@pytest.fixture(scope="session")
def aws_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto(tmp_path_factory.mktemp("moto")) as address:
        yield address


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """It has what EKS brings."""
    if not definitions.there():
        pytest.skip(f"not proved: anything in Kubernetes; the definitions in {definitions.FOLDER} are absent")
    if not kubernetes_for_tests.ready():
        pytest.skip("not proved: anything in Kubernetes; no API server is built: make setup-tests")
    with kubernetes(tmp_path_factory.mktemp("kubernetes")) as started:
        yield started


@pytest.fixture
def place(aws_endpoint: str, tmp_path: Path) -> Place:
    """Of an account in which there is nothing."""
    reset(aws_endpoint)
    return Place(tmp_path / "place", aws_endpoint=aws_endpoint)


@pytest.fixture
def cluster_place(aws_endpoint: str, api_server: ApiServer, tmp_path: Path) -> Place:
    """Of an account and a cluster in which there is nothing, but for what EKS brings."""
    reset(aws_endpoint)
    return place_with(tmp_path / "place", aws_endpoint, api_server)


@pytest.fixture
def api(cluster_place: Place) -> Iterator[Api]:
    """To look into the cluster; whatever is in it afterwards is removed."""
    with closing(Api(cluster_place)) as client:
        for definition in definitions.of_eks():
            client.define(definition)
        yield client
        clear(client)


@pytest.fixture
def left(api: Api) -> Callable[[], list[str]]:
    """``kind name`` of what components have made in the cluster and is there."""
    return lambda: sorted(f"{each['kind']} {each['metadata']['name']}" for each in objects(api))


@pytest.fixture
def account(place: Place) -> Account:
    """To look into, and to change things behind the engine's back."""
    return Account(place.aws_endpoint, REGION, place.record)


@pytest.fixture(scope="session")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A database server that takes connections over TLS, as those of AWS do."""
    made = Server(Runtimes.locate().postgres, tmp_path_factory.mktemp("postgres") / "data")
    made.initialize()
    made.encrypt()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def cloud(place: Place) -> Callable[[str], Any]:
    """A client of a service, for what is done behind the engine's back."""
    account = Account(place.aws_endpoint, REGION, place.record)
    return lambda service: getattr(account, service)
