from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from headrace.toolchain import environments, locking, maven, places


@pytest.mark.parametrize("lock", list(locking.SOURCES), ids=lambda lock: lock.stem)
def test_a_lock_has_a_hash_for_everything_and_names_no_host(lock: Path) -> None:
    text = lock.read_text()
    assert list(locking.whereabouts(text)) == []
    requirements = re.split(r"\n(?=\w)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())
    assert [entry for entry in requirements if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://registry.example/simple",
        "six @ https://registry.example/six.whl",
        "six @ file:///somewhere/six",
        "-e ./agent_jobs",
    ],
)
def test_a_host_or_a_path_in_a_lock_is_found(line: str) -> None:
    assert list(locking.whereabouts(f"# why\nsix==1.17.0 \\\n    --hash=sha256:{'0' * 64}\n{line}\n"))


def test_the_jars_of_flink_are_of_the_same_release_as_pyflink() -> None:
    pinned = re.search(r"<flink\.version>(.+)</flink\.version>", maven.POM.read_text())
    locked = re.search(r"^apache-flink==(\S+)", environments.AGENTS.lock.read_text(), re.MULTILINE)
    assert pinned is not None
    assert locked is not None
    assert pinned[1] == locked[1]


def test_the_toolchain_imports_the_standard_library_alone() -> None:
    imported = {
        name.partition(".")[0]
        for file in places.TOOLCHAIN.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for name in _absolute_imports(node)
    }
    assert imported <= sys.stdlib_module_names


def _absolute_imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [node.module or ""]
    return []
