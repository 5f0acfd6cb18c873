"""What tests of several components on AWS ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.components.aws.managed import write_plugin


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A plugin of MSK Connect."""
    return write_plugin(tmp_path / "debezium.zip")
