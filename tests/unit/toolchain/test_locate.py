from __future__ import annotations

from pathlib import Path

import pytest

from headrace.toolchain import MissingRuntime, Runtimes


def test_what_is_not_installed_is_named_with_the_command_to_run(cache: Path) -> None:
    with pytest.raises(MissingRuntime, match=r"runtimes, Pulumi CLI; run: make setup"):
        Runtimes.locate()
