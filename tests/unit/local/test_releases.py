"""An agent's code as its job runs it: made once, whoever makes it at the same time, kept while used."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from headrace.errors import HeadraceError
from headrace.local.agent_jobs.inputs import SPEC, folder_name
from headrace.local.agent_jobs.releases import KEPT_S, release, remove_unused
from headrace.local.files import StackFiles
from headrace_agents.code import digest_of


@pytest.fixture
def package(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "package"
    (folder / "below").mkdir(parents=True)
    for number in range(50):
        (folder / "below" / f"{number}.py").write_text(f"number = {number}\n" * 200)
    return {"package": folder}


def test_two_that_make_the_same_release_at_once_both_have_it(
    tmp_path: Path, package: dict[str, Path]
) -> None:
    files, code = StackFiles(tmp_path / "stack"), digest_of(package)
    found: list[Path] = []
    makers = [threading.Thread(target=lambda: found.append(release(files, code, package))) for _ in range(6)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert found == [files.release(code)] * len(makers)
    assert digest_of({"package": files.release(code) / "package"}) == code
    assert list(files.releases.iterdir()) == [files.release(code)]


def test_code_that_changed_meanwhile_is_refused_and_nothing_is_left(
    tmp_path: Path, package: dict[str, Path]
) -> None:
    files, code = StackFiles(tmp_path / "stack"), digest_of(package)
    (package["package"] / "below" / "0.py").write_text("other = True\n")
    with pytest.raises(HeadraceError, match="changed while the command ran"):
        release(files, code, package)
    assert not list(files.releases.iterdir())


def test_what_no_job_was_submitted_with_goes_after_a_day(tmp_path: Path, package: dict[str, Path]) -> None:
    files, code = StackFiles(tmp_path / "stack"), digest_of(package)
    release(files, code, package)
    for name in ("old", "new"):
        files.release(name).mkdir()
    long_ago = time.time() - KEPT_S - 1
    for name in (code, "old"):
        os.utime(files.release(name), (long_ago, long_ago))
    folder = files.etc(folder_name("an-agent"))
    folder.mkdir(parents=True)
    (folder / SPEC).write_text(json.dumps({"code": code}))
    remove_unused(files)
    assert {each.name for each in files.releases.iterdir()} == {code, "new"}
