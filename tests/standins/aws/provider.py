"""The provider: checks inputs against pulumi-aws, and leaves the rest to the kind of the resource."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from botocore.exceptions import ClientError

from tests.standins.aws.account import Account
from tests.standins.aws.catalogue import KINDS
from tests.standins.aws.forcing import forcing
from tests.standins.aws.functions import FUNCTIONS
from tests.standins.aws.kind import Kind, gone
from tests.standins.journal import Journal
from tests.standins.place import Place
from tests.standins.protocol import Asked, Checked, Refused, StandIn
from tests.standins.values import DEFAULTS, UNKNOWN, Values

RANDOM_CHARS = 7
"""Of the end that the provider gives to a name."""


class AwsStandIn(StandIn):
    version = "7.51.1"

    def __init__(self, place: Place) -> None:
        self.journal: Journal = place.journal()
        self._place = place
        self._configured: Account | None = None

    @property
    def _account(self) -> Account:
        if self._configured is None:
            raise Refused("the provider was not configured")
        return self._configured

    def configure(self, settings: Values) -> None:
        region = settings.get("region") or os.environ.get("AWS_REGION")
        if not region:
            raise Refused("Missing region configuration: set `aws:region`, or AWS_REGION")
        self._configured = Account(self._place.aws_endpoint, region, self._place.record, self._place.cluster)

    def check(self, asked: Asked, old: Values, new: Values, seed: bytes) -> Checked:
        kind = _kind(asked)
        inputs = {name: value for name, value in new.items() if name != DEFAULTS}
        schema = kind.schema
        failures = {
            name: f"{kind.token} has no such input; it has {', '.join(sorted(schema.inputs))}"
            for name in sorted(inputs.keys() - schema.inputs)
        }
        failures |= dict.fromkeys(sorted(schema.required - inputs.keys()), f"{kind.token} needs it")
        if kind.named and kind.named not in inputs and f"{kind.named}Prefix" not in inputs:
            chosen = kind.named in old.get(DEFAULTS, [])
            inputs[kind.named] = old[kind.named] if chosen else _own_name(kind, asked.name, seed)
            inputs[DEFAULTS] = [kind.named]
        return Checked(inputs, failures)

    def replacing(self, asked: Asked) -> Sequence[str]:
        return forcing(asked.type)

    def deletes_first(self, asked: Asked, new: Values) -> bool:
        """As the real one: two can't have one name that a person chose."""
        named = _kind(asked).named
        return bool(named) and named in new and named not in new.get(DEFAULTS, [])

    def expect(self, asked: Asked, new: Values, old: Values) -> Values:
        kind = _kind(asked)
        unknown = {name: old.get(name, UNKNOWN) for name in kind.computed}
        expected = unknown | _shared(kind, new, self._account.region)
        for path in kind.nested:
            outer, inner = path.split(".")
            value = old.get(outer, {}).get(inner, UNKNOWN)
            expected[outer] = {inner: value} | (expected.get(outer) or {})
        return expected

    def create(self, asked: Asked, inputs: Values) -> tuple[str, Values]:
        kind = _kind(asked)
        made = kind.create(self._account, inputs)
        return made, self._state(kind, made, inputs, inputs)

    def read(self, asked: Asked, inputs: Values, state: Values) -> tuple[Values, Values] | None:
        kind = _kind(asked)
        seen = _seen(kind, self._account, asked.id, state)
        if seen is None:
            return None
        as_input = _without(seen, kind.nested)
        now = {name: as_input.get(name, value) for name, value in inputs.items()}
        return now, _shared(kind, now, self._account.region) | seen

    def update(self, asked: Asked, state: Values, new: Values) -> Values:
        kind = _kind(asked)
        kind.update(self._account, asked.id, state, new)
        return self._state(kind, asked.id, new, state)

    def delete(self, asked: Asked, state: Values) -> None:
        try:
            _kind(asked).delete(self._account, asked.id, state)
        except ClientError as error:
            if not gone(error):
                raise

    def invoke(self, function: str, arguments: Values) -> Values:
        found = FUNCTIONS.get(function)
        if found is None:
            return super().invoke(function, arguments)
        return arguments | {"region": self._account.region} | found(self._account, arguments)

    def _state(self, kind: Kind, made: str, inputs: Values, state: Values) -> Values:
        seen = _seen(kind, self._account, made, state | inputs)
        if seen is None:
            raise Refused(f"{kind.token} {made} was made, and is not there")
        return _shared(kind, inputs, self._account.region) | seen


def _kind(asked: Asked) -> Kind:
    if asked.type not in KINDS:
        raise Refused(
            f"the stand-in knows no {asked.type}; tests/standins/aws/catalogue.py lists what it knows"
        )
    return KINDS[asked.type]


def _seen(kind: Kind, account: Account, made: str, state: Values) -> Values | None:
    try:
        return kind.read(account, made, state)
    except ClientError as error:
        if gone(error):
            return None
        raise


def _without(seen: Values, nested: Sequence[str]) -> Values:
    """What was seen, without what is computed within inputs."""
    left = dict(seen)
    for path in nested:
        outer, inner = path.split(".")
        if outer in left:
            left[outer] = {name: value for name, value in left[outer].items() if name != inner}
    return left


def _shared(kind: Kind, inputs: Values, region: str) -> Values:
    """Outputs that are inputs too, and those that every resource has."""
    outputs = {name: value for name, value in inputs.items() if name != DEFAULTS}
    outputs["region"] = region
    if "tagsAll" in kind.schema.outputs:
        outputs["tagsAll"] = inputs.get("tags") or {}
    return outputs


def _own_name(kind: Kind, name: str, seed: bytes) -> str:
    end = hashlib.sha256(seed + name.encode()).hexdigest()[:RANDOM_CHARS]
    prefix = "alias/" if kind.token == "aws:kms/alias:Alias" else ""
    return f"{prefix}{name}-{end}"
