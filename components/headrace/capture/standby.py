"""Checks of a server that is a standby."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.capture.finding import Flaw, Mend
from headrace.capture.look import Look
from headrace.capture.statements import setting

DECODES = 160000
ELSEWHERE = Mend(advice="capture from the primary")


def standby_decodes(look: Look) -> Iterator[Flaw]:
    """A standby is 16 or newer"""
    if look.in_recovery and look.version < DECODES:
        yield Flaw(
            "error",
            f"the server is a standby of version {look.setting('server_version')}",
            "standbys decode no changes before 16",
            ELSEWHERE,
        )


def standby_feedback(look: Look) -> Iterator[Flaw]:
    """A standby has `hot_standby_feedback` on"""
    if look.in_recovery and look.setting("hot_standby_feedback") == "off":
        yield Flaw(
            "error",
            "hot_standby_feedback is off",
            "the primary removes rows of its catalogue that decoding still needs, and the slot is lost",
            setting(look, "hot_standby_feedback", "on", restart=False),
        )


def standby_heartbeat(look: Look) -> Iterator[Flaw]:
    """On a standby the connector has no query as its heartbeat: it would have to write"""
    if look.in_recovery and look.config.get("heartbeat.action.query"):
        yield Flaw(
            "error",
            "the server is a standby, and heartbeat.action.query writes",
            "each heartbeat fails",
            ELSEWHERE,
        )
