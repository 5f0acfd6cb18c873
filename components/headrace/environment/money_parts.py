"""What an agent's model costs and may cost."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from headrace.environment.fields import declared
from headrace.environment.types import A_POSITIVE, Count, Declared, checked
from headrace.environment.units import MICRODOLLARS

DOLLARS = "US dollars: a number above 0 with at most six digits after the point"
PRICE = "US dollars per million tokens: a number, 0 or more, with at most six digits after the point"

USUAL_OUTPUT_TOKENS = 4096
"""That one call may put out where there is a budget and nothing is declared."""

Number = Annotated[float, Field(strict=True, ge=0, le=1e9, allow_inf_nan=False)]


def microdollars(dollars: float) -> int:
    """Of an amount that is a whole number of them."""
    return round(dollars * MICRODOLLARS)


def _is_whole(dollars: float) -> bool:
    return abs(dollars * MICRODOLLARS - microdollars(dollars)) < 1e-3


def _checked(allowed: str, *, zero: bool) -> AfterValidator:
    return checked(allowed, lambda given: _is_whole(given) and (zero or given > 0))


Dollars = Annotated[Number, _checked(DOLLARS, zero=False)]
Price = Annotated[Number, _checked(PRICE, zero=True)]


class Prices(Declared):
    """What the endpoint bills."""

    input: Price = declared(PRICE, "Of what is sent.")
    output: Price = declared(PRICE, "Of what comes back.")


class KeyBudget(Declared):
    """What one key's calls may take a day."""

    usd_per_day: Dollars | None = declared(DOLLARS, "At the declared prices.", default=None)
    tokens_per_day: Count | None = declared(A_POSITIVE, "Input and output together.", default=None)


class Budget(Declared):
    """What the model may take a day (of UTC). A call that could take more than is left is not made."""

    usd_per_day: Dollars | None = declared(
        DOLLARS, "Of the agent's calls, at the declared prices.", default=None
    )
    tokens_per_day: Count | None = declared(
        A_POSITIVE, "Of the agent's calls, input and output together.", default=None
    )
    at_limit: Literal["wait", "fail", "pause"] = declared(
        "`wait`, `fail` or `pause`",
        "What becomes of a call past it: it waits for the next day, and its event with it; it fails with"
        " `budget`; or it waits and the agent is paused until `headrace agents resume`.",
        default="wait",
    )
    per_key: KeyBudget | None = declared(
        "a budget of each key",
        "Of the calls of each key by itself; past it a call fails with `budget`.",
        default=None,
    )
