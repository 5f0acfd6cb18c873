"""One type of resource: how it is made, seen, changed and removed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from tests.standins.aws.account import Account
from tests.standins.aws.schema import Schema, schema
from tests.standins.values import Values


class Kind(ABC):
    """What a provider does with resources of one type; inputs and outputs as pulumi-aws spells them."""

    token: ClassVar[str]
    named: ClassVar[str] = ""
    """The input that the provider fills with a name of its own where none is given."""
    computed: ClassVar[tuple[str, ...]] = ()
    """Outputs that nobody knows before the resource is made."""
    nested: ClassVar[tuple[str, ...]] = ()
    """The same within inputs: ``vpcConfig.vpcId``."""
    behind: ClassVar[str] = "moto"
    """``moto``, or ``record``: nothing but a record of what was asked for."""
    beside: ClassVar[tuple[str, ...]] = ()
    """Inputs that moto does not keep, and a record beside it does, for functions that tell them."""

    @property
    def schema(self) -> Schema:
        return schema(self.token)

    @abstractmethod
    def create(self, account: Account, inputs: Values) -> str:
        """Make it; the id."""

    @abstractmethod
    def read(self, account: Account, made: str, state: Values) -> Values | None:
        """What is seen of it: computed outputs, and inputs as they are now; ``None``: there is none."""

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        """Bring it to new inputs. What can't be changed is replaced, so this is not called for it."""
        raise NotImplementedError(f"{self.token} has no update")

    @abstractmethod
    def delete(self, account: Account, made: str, state: Values) -> None: ...


class Attached(Kind):
    """A part of another resource that is set as a whole: its making and its change are the same call."""

    identified_by: ClassVar[str]
    """The input that is its id."""

    def create(self, account: Account, inputs: Values) -> str:
        self.put(account, inputs)
        return self.identity(inputs)

    def update(self, account: Account, made: str, old: Values, new: Values) -> None:
        self.put(account, new)

    @abstractmethod
    def put(self, account: Account, inputs: Values) -> None: ...

    def identity(self, inputs: Values) -> str:
        """The id."""
        made: str = inputs[self.identified_by]
        return made


def gone(error: ClientError) -> bool:
    """Whether AWS says that there is none."""
    code, words = str(error.response["Error"]["Code"]), str(error.response["Error"].get("Message"))
    # Application Auto Scaling of moto says it in words alone.
    return "NotFound" in code or "NoSuch" in code or code == "404" or words.startswith("No scal")


def tags_of(listed: list[Values], key: str = "Key", value: str = "Value") -> dict[str, str]:
    """AWS's list of tags as a map; those that AWS sets itself are left out."""
    return {each[key]: each[value] for each in listed if not each[key].startswith("aws:")}


def tag_list(tags: dict[str, str] | None, key: str = "Key", value: str = "Value") -> list[Values]:
    return [{key: name, value: text} for name, text in sorted((tags or {}).items())]


def changed_tags(old: Values, new: Values) -> tuple[dict[str, str], list[str]]:
    """Tags to set, and names of those to remove."""
    before, after = old.get("tags") or {}, new.get("tags") or {}
    return after, sorted(before.keys() - after.keys())


def first(found: list[Any]) -> Any:
    """The only one there is, or ``None``."""
    return found[0] if found else None
