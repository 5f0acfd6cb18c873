"""`python -m headrace.local.capture_watch ORDERS.json`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server

from headrace.local.capture_watch.orders import WatchOrders
from headrace.local.capture_watch.watch import CaptureWatch
from headrace.local.context import HOST

POLL_S = 2.0


def main() -> None:
    orders = WatchOrders.model_validate_json(Path(sys.argv[1]).read_text())
    registry = CollectorRegistry()
    watch = CaptureWatch(orders, registry)
    start_http_server(orders.metrics_port, HOST, registry)
    while True:
        for said in watch.look(time.monotonic()):
            print(said, flush=True)
        time.sleep(POLL_S)


if __name__ == "__main__":
    main()
