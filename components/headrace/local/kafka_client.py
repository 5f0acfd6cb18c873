"""What clients of Kafka have alike on this machine."""

from __future__ import annotations

import logging

SILENT = logging.getLogger("headrace.kafka")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False
"""A client writes a log of its own; where nobody may hear that, it goes here."""
