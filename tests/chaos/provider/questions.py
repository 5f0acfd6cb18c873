"""Questions to the asker, as Debezium would have written them, from a thread of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from headrace_agents.records import Position
from tests.pipeline.injection import created, inject
from tests.pipeline.stack import LiveStack

AGENT = "asker"
TABLE = "public.questions"
TOPIC = f"support.{TABLE}"
CUSTOMERS = 100

_numbers = count(1)


def ask(stack: LiveStack, customers: list[int]) -> dict[Position, int]:
    """A question of each; returns whose is where."""
    records, whose = {}, {}
    for customer in customers:
        number = str(next(_numbers))
        row = {"id": int(number), "customer_id": customer, "text": "A question"}
        records[number] = (b'{"customer_id":%d}' % customer, created(TABLE, row))
        whose[number] = customer
    return {at: whose[number] for number, at in inject(stack.bootstrap_servers, TOPIC, records).items()}


@contextmanager
def asking(
    stack: LiveStack, of_turn: Callable[[int], list[int]], every_s: float = 1.0
) -> Iterator[dict[Position, int]]:
    """While the block runs: each turn one question of each of these customers, who may come several times.

    What was asked so far is in what it gives; what ends the thread early is raised at the end.
    """
    asked: dict[Position, int] = {}
    stop, failed, started = threading.Event(), list[BaseException](), time.monotonic()

    def run() -> None:
        try:
            for turn in count():
                if stop.wait(max(0.0, started + turn * every_s - time.monotonic())):
                    return
                asked.update(ask(stack, of_turn(turn)))
        except BaseException as error:  # noqa: BLE001  (handed to who waits for this thread)
            failed.append(error)

    thread = threading.Thread(target=run, name="questions")
    thread.start()
    try:
        yield asked
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]


def evenly(per_second: int) -> Callable[[int], list[int]]:
    """Of all customers in turn."""
    return lambda second: [(second * per_second + n) % CUSTOMERS for n in range(per_second)]
