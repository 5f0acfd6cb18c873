"""The time that `make test` has: on a slow machine tests of the real pipeline are left out, and say so."""

from __future__ import annotations

import os
import time

import pytest

from tests.pipeline.sizes import IS_FULL
from tests.run_suites import UNTIL


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture of the test is made."""
    until = os.environ.get(UNTIL)
    if until is not None and not IS_FULL and time.time() > float(until):
        pytest.skip(f"not proved: {item.name}; this machine is too slow for the budget of `make test`")
