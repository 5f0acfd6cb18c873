"""What clients of Kafka have alike on this machine."""

from __future__ import annotations

import logging
from collections.abc import Mapping

SILENT = logging.getLogger("headrace.kafka")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False
"""A client writes a log of its own; where nobody may hear that, it goes here."""

READS_ALONE = {"enable.auto.commit": False}
"""Of a consumer that belongs to no group: it says itself where it reads from."""
TO_ITS_END: Mapping[str, object] = {"isolation.level": "read_committed", "enable.partition.eof": True}
"""Of a consumer that reads what is committed, and is told where a partition ends."""
