from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headrace.toolchain import places

HOLD = """
import sys, time
from pathlib import Path
from headrace.toolchain import places
with places.only_one(Path(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HEADRACE_CACHE": "/own", "XDG_CACHE_HOME": "/xdg"}, "/own"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/headrace"),
        ({"HEADRACE_CACHE": "", "XDG_CACHE_HOME": ""}, "/home/someone/.cache/headrace"),
    ],
)
def test_the_cache_is_where_the_person_says(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    monkeypatch.delenv("HEADRACE_CACHE", raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert places.cache() == Path(expected)


def test_a_folder_that_fails_half_way_is_not_there(tmp_path: Path) -> None:
    target = tmp_path / "made"

    def fail_half_way() -> None:
        with places.built_beside(target) as building:
            (building / "half").touch()
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_removed_and_the_folder_replaced(tmp_path: Path) -> None:
    target = tmp_path / "made"
    (tmp_path / ".made.4711" / "half").mkdir(parents=True)
    target.mkdir()
    (target / "old").touch()
    with places.built_beside(target) as building:
        (building / "new").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["made", "new"]


def test_a_second_setup_waits_and_says_for_whom_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "setup.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        waited_for = []

        def kill_holder(process: str) -> None:
            waited_for.append(process)
            holder.kill()

        with places.only_one(lock, kill_holder):
            assert waited_for == [str(holder.pid)]


def test_a_digest_is_of_names_and_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "CHECKOUT", tmp_path)
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("a")
    other.write_text("a")
    assert places.digest([one]) != places.digest([other])
    before = places.digest([one, other])
    assert places.digest([other, one]) == before
    one.write_text("b")
    assert places.digest([one, other]) != before
