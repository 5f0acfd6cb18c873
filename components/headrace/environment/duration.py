"""Durations as people write them: ``200ms``, ``10s``, ``15m``, ``1h``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from headrace.environment.units import HOUR_MS, MINUTE_MS, SECOND_MS

_UNITS_MS = {"h": HOUR_MS, "m": MINUTE_MS, "s": SECOND_MS, "ms": 1}
_WRITTEN = re.compile(r"(?P<count>[0-9]{1,12})(?P<unit>ms|s|m|h)")

ALLOWED = "a whole number with a unit: `200ms`, `10s`, `15m`, `1h`"


@dataclass(frozen=True, order=True)
class Duration:
    """A length of time in whole milliseconds."""

    milliseconds: int

    @classmethod
    def parse(cls, text: object) -> Duration:
        """Read ``200ms``, ``10s``, ``15m`` or ``1h``; anything else raises :class:`ValueError`."""
        match = _WRITTEN.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError(ALLOWED)
        return cls(int(match["count"]) * _UNITS_MS[match["unit"]])

    @property
    def seconds(self) -> float:
        return self.milliseconds / SECOND_MS

    def __str__(self) -> str:
        """The shortest way to write it: the largest unit that divides it."""
        for unit, size_ms in _UNITS_MS.items():
            if self.milliseconds % size_ms == 0 and self.milliseconds >= size_ms:
                return f"{self.milliseconds // size_ms}{unit}"
        return "0s"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def _validate(cls, given: object) -> Duration:
        if isinstance(given, Duration):
            return given
        try:
            return cls.parse(given)
        except ValueError as wrong:
            raise PydanticCustomError("duration", "{allowed}", {"allowed": str(wrong)}) from None
