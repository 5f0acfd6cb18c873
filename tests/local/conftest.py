"""The shared stack, and its logs where a test fails."""

from tests.pipeline.budget import pytest_runtest_setup
from tests.pipeline.plugin import pipeline, pytest_runtest_makereport

__all__ = ["pipeline", "pytest_runtest_makereport", "pytest_runtest_setup"]
