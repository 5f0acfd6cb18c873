"""Which agents this machine has."""

from __future__ import annotations

from headrace.provider.roster import BaseRosterKind


class RosterKind(BaseRosterKind):
    token = "headrace-local:index:Roster"
    stays = "topics and state stay"
