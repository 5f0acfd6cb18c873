"""Which agents a cluster has."""

from __future__ import annotations

from headrace.provider.roster import BaseRosterKind


class RosterKind(BaseRosterKind):
    token = "headrace-aws:index:Roster"
    stays = "state stays, and topics where `protect` is true: they have to be unprotected by hand to go"
