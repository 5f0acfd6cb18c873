"""Kinds that moto has no call for: what was asked for is kept on disk, and nothing is behind it.

Of AWS's own checks there is one: what a resource refers to has to be there.
"""

from __future__ import annotations

from abc import abstractmethod

from tests.standins.aws.account import Account
from tests.standins.aws.kind import Kind
from tests.standins.protocol import Refused
from tests.standins.values import DEFAULTS, Values


class Recorded(Kind):
    behind = "record"

    @abstractmethod
    def facts(self, account: Account, inputs: Values) -> tuple[str, Values]:
        """The id, and computed outputs in AWS's form.

        Raises:
            Refused: what it refers to is not there, or AWS has one of this name.
        """

    def create(self, account: Account, inputs: Values) -> str:
        made, outputs = self.facts(account, inputs)
        if account.record.get(self.token, made):
            raise Refused(f"{self.token} {made}: there is one of this name already")
        account.record.put(self.token, made, _asked(inputs) | outputs)
        return made

    def read(self, account: Account, made: str, state: Values) -> Values | None:
        return account.record.get(self.token, made)

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        held = account.record.get(self.token, made) or {}
        kept = {name: held[name] for name in self.computed}
        account.record.put(self.token, made, _asked(new) | kept)

    def delete(self, account: Account, made: str, state: Values) -> None:
        account.record.remove(self.token, made)


def _asked(inputs: Values) -> Values:
    return {name: value for name, value in inputs.items() if name != DEFAULTS}
