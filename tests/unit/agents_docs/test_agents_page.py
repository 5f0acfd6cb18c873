"""The examples of docs/agents.md: imported, and their tests run, as they stand on the page."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from headrace_agents.provider_kit import ChatProviderKit
from headrace_agents.records import Reason

PAGE = Path(__file__).parents[3] / "docs" / "agents.md"


AGENT, SETTINGS, TESTS_OF_AGENT, PROVIDER, TESTS_OF_PROVIDER = re.findall(
    r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL
)


def test_the_example_passes_its_own_tests(tmp_path: Path) -> None:
    package = tmp_path / "overload_watch"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "agent.py").write_text(AGENT)

    assert passed(tmp_path, TESTS_OF_AGENT) >= TESTS_OF_AGENT.count("def test_")


def test_the_provider_passes_the_kit(tmp_path: Path) -> None:
    (tmp_path / "vendor.py").write_text(PROVIDER)

    kit = sum(name.startswith("test_") for name in dir(ChatProviderKit))
    assert passed(tmp_path, TESTS_OF_PROVIDER) == kit


def passed(folder: Path, tests: str) -> int:
    """How many of a page's tests pass, all of which must."""
    (folder / "test_page.py").write_text(tests)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "test_page.py"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"(\d+) passed", done.stdout)
    assert counted is not None
    return int(counted[1])


def test_settings_have_their_prompt_from_the_file_beside_them(tmp_path: Path) -> None:
    (tmp_path / "question.txt").write_text("Summarise {tickets}.\n")
    module = tmp_path / "tuned.py"
    module.write_text(SETTINGS)
    found: dict[str, Any] = runpy.run_path(str(module))

    assert found["Settings"]().question.format(tickets=[1, 2]) == "Summarise [1, 2]."
    with pytest.raises(ValidationError, match=r"allowed: \{tickets\}"):
        found["Settings"](question="Summarise {orders}.")


@pytest.mark.parametrize("reason", get_args(Reason))
def test_every_reason_is_explained(reason: str) -> None:
    assert f"`{reason}`" in PAGE.read_text()
