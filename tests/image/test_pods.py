"""A deployment's processes as containers of the image: non-root, read-only, and they decide."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import psutil

from headrace.aws.flink_image import USER
from tests.image.container import Container
from tests.image.pods import Pods
from tests.pipeline.deployment import ROLES, Decisions, Deployment, Ports
from tests.pipeline.plugin import Pipeline

ENVIRONMENT, AGENT = "dev", "order-risk"
PORT_BASE = 27600
ORDERS = {9_001: 40, 9_002: 7_400}
"""Order -> what it costs: one is above what is held in any case."""
DECIDED_TIMEOUT_S = 90


ORDER = "INSERT INTO public.orders (order_id, customer_id, amount, currency, country, status)"
PAYMENT = "INSERT INTO public.payments (id, order_id, amount, status, method)"


def order(pipeline: Pipeline, number: int, amount: int) -> None:
    """An order that is paid at once."""
    with pipeline.stack.database() as connection:
        connection.execute(f"{ORDER} VALUES (%s, 1, %s, 'EUR', 'DE', 'open')", (number, amount))
        connection.execute(f"{PAYMENT} VALUES (%s, %s, %s, 'paid', 'card')", (number, number, amount))


def processes(root: Path) -> list[psutil.Process]:
    """Every process whose root file system is the image's."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(f"/proc/{process.pid}/root").readlink() == root:
                found.append(process)
        except OSError:
            continue  # it has just ended
    return found


def status(process: psutil.Process) -> dict[str, str]:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def mounts(process: psutil.Process) -> dict[str, Collection[str]]:
    """Mount point -> its options, as the process sees them."""
    lines = Path(f"/proc/{process.pid}/mountinfo").read_text().splitlines()
    return {fields[4]: fields[5].split(",") for fields in (line.split() for line in lines)}


def test_they_decide_as_here_and_can_do_nothing_else(
    image: Container, pipeline: Pipeline, tmp_path: Path
) -> None:
    deployment = Deployment(pipeline.stack, ENVIRONMENT, AGENT, Ports.above(PORT_BASE))
    pods = Pods(image, deployment, tmp_path)
    with deployment.running(pods.start, tmp_path), Decisions.of(deployment) as decisions:
        made = {}
        for number, amount in ORDERS.items():
            order(pipeline, number, amount)
            # A hold is known by the name of the agent that placed it.
            ((kind, made[number]),) = decisions.alike(
                {"order_id": number}, 1, DECIDED_TIMEOUT_S, own=("hold",)
            )
            assert kind == "Assessed"
        assert [bool(each["hold"]) for each in made.values()] == [False, True]
        running = processes(image.root)
        names = [process.name() for process in running]
        assert names.count("java") == len(ROLES)
        assert any(name.startswith("python") for name in names), "the worker"
        for process in running:
            told = status(process)
            assert told["Uid"].split() == [str(USER)] * 4
            assert told["Gid"].split() == [str(USER)] * 4
            assert (told["Groups"], int(told["CapBnd"], 16), told["NoNewPrivs"]) == ("", 0, "1")
            assert "ro" in mounts(process)["/"]
    assert processes(image.root) == []
