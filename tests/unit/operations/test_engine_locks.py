"""Locks of the state: a dead engine's is removed, a living one's is respected."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from headrace.errors import HeadraceError
from headrace.operations.engine import clear_locks


def lock(folder: Path, pid: int) -> Path:
    path = folder / "organization" / "headrace" / "local" / "lock.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"pid": pid}))
    return path


def test_a_lock_whose_pid_is_another_process_by_now_is_removed(tmp_path: Path) -> None:
    left = lock(tmp_path, os.getpid())
    clear_locks(tmp_path)
    assert not left.exists()


def test_the_lock_of_a_living_pulumi_is_respected(tmp_path: Path) -> None:
    pulumi = tmp_path / "pulumi"
    pulumi.symlink_to("/bin/sleep")
    with subprocess.Popen([str(pulumi), "60"]) as engine:
        try:
            held = lock(tmp_path / "locks", engine.pid)
            with pytest.raises(HeadraceError, match=f"pid {engine.pid}"):
                clear_locks(tmp_path / "locks")
            assert held.exists()
        finally:
            engine.kill()
