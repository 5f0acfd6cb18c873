"""Properties as a tree that can be walked without fear: absent and unknown values have their own answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final


class Unknown(Exception):
    """A value that a judgement needs isn't known yet; ``path`` names it."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class _Marker:
    """A value that no property can have."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


ABSENT: Final = _Marker("ABSENT")
UNKNOWN: Final = _Marker("UNKNOWN")
"""A property that is known only after other resources are there, or that is encrypted in a state."""


class Node:
    """A value and the path to it, as a person would write it.

    Every access to a value raises :class:`Unknown` where the value, or what it is in, is unknown. Access to
    what isn't there, or is of another shape than expected, gives an absent node, never an error: programs of
    any kind are judged.
    """

    def __init__(self, value: object, path: str = "") -> None:
        self._value = value
        self.path = path

    def __repr__(self) -> str:
        return f"Node({self.path or '.'}: {self._value!r})"

    def at(self, *keys: str) -> Node:
        """The node below; a key may hold dots."""
        node = self
        for key in keys:
            node = node._child(key)
        return node

    def _child(self, key: str) -> Node:
        path = f"{self.path}.{key}" if self.path else key
        if self._value is UNKNOWN:
            return Node(UNKNOWN, path)
        if isinstance(self._value, Mapping):
            return Node(self._value.get(key, ABSENT), path)
        return Node(ABSENT, path)

    @property
    def is_unknown(self) -> bool:
        return self._value is UNKNOWN

    @property
    def value(self) -> object:
        """The value, None where it is absent.

        Raises:
            Unknown: it isn't known yet.
        """
        if self._value is UNKNOWN:
            raise Unknown(self.path or "the resource's properties")
        return None if self._value is ABSENT else self._value

    @property
    def is_set(self) -> bool:
        return self.value is not None

    @property
    def is_true(self) -> bool:
        """Also of the text that providers make of booleans."""
        return self.value in (True, "true", "True")

    @property
    def is_false(self) -> bool:
        return self.value in (False, "false", "False")

    @property
    def text(self) -> str:
        """The value as text, empty where it is absent or no scalar."""
        value = self.value
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        return str(value) if isinstance(value, str | int | float) else ""

    @property
    def number(self) -> float | None:
        """The value as a number, None where it is none."""
        try:
            return float(self.text)
        except ValueError:
            return None

    @property
    def items(self) -> list[Node]:
        """The nodes of a list; one that isn't in a list is a list of one (providers flatten such lists)."""
        value = self.value
        if value is None:
            return []
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [Node(item, f"{self.path}[{at}]") for at, item in enumerate(value)]
        return [self]

    @property
    def texts(self) -> list[str]:
        return [item.text for item in self.items]

    @property
    def keys(self) -> list[str]:
        value = self.value
        return [str(key) for key in value] if isinstance(value, Mapping) else []

    @property
    def document(self) -> Node:
        """What JSON text holds; a mapping is its own document, and no JSON gives an absent node."""
        value = self.value
        if isinstance(value, Mapping):
            return self
        try:
            return Node(json.loads(self.text), self.path)
        except ValueError:
            return Node(ABSENT, self.path)

    def walk(self) -> Iterator[Node]:
        """Every scalar below, unknown ones too."""
        if isinstance(self._value, Mapping):
            for key in self._value:
                yield from self._child(str(key)).walk()
        elif isinstance(self._value, Sequence) and not isinstance(self._value, str):
            for item in self.items:
                yield from item.walk()
        else:
            yield self

    def find(self, key: str) -> Iterator[Node]:
        """Every node below that has this key, the outermost ones; nothing of what is unknown."""
        if isinstance(self._value, Mapping):
            for name in self._value:
                child = self._child(str(name))
                yield from [child] if name == key else child.find(key)
        elif isinstance(self._value, Sequence) and not isinstance(self._value, str):
            for item in self.items:
                yield from item.find(key)

    def fault(self, wrong: str, *, hide: bool = False) -> str:
        """What is wrong, in words that name the property and its value; `hide` keeps a secret to itself."""
        if self._value is ABSENT or self._value is None:
            state = "is not set"
        else:
            state = "is set" if hide else f"is {json.dumps(self._value, default=repr)}"
        return f"`{self.path}` {state}: {wrong}"
