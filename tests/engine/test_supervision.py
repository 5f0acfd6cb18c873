"""A real supervisor, with small processes."""

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from headrace.errors import HeadraceError
from headrace.local.files import StackFiles
from headrace.local.processes import STACK_MARKER, end, marked
from headrace.local.supervision import Program, Supervisor
from headrace.waiting import wait_until

# A signal between fork and exec is lost, so a stop right after a start may take its whole patience.
SLEEPER = Program("sleeper", (sys.executable, "-c", "import time; time.sleep(600 % 601)"), "/", stop_wait_s=2)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[StackFiles]:
    stack = StackFiles(tmp_path / "stack")
    yield stack
    Supervisor(stack).shut_down()
    assert not marked(STACK_MARKER, stack.root)


def pid(supervisor: Supervisor) -> int:
    """Of the sleeper, once it is up."""
    return wait_until("the sleeper", lambda: _running_pid(supervisor), 20)


def _running_pid(supervisor: Supervisor) -> int | None:
    return next((int(info["pid"]) for info in supervisor.all() if info["statename"] == "RUNNING"), None)


def test_a_killed_process_comes_back(files: StackFiles) -> None:
    supervisor = Supervisor(files)
    supervisor.start()
    supervisor.run(SLEEPER)
    first = pid(supervisor)
    os.kill(first, signal.SIGKILL)
    wait_until("another pid", lambda: pid(supervisor) != first, 10)


def test_starting_twice_starts_one(files: StackFiles) -> None:
    supervisor = Supervisor(files)
    supervisor.start()
    supervisor.start()
    assert len(marked(STACK_MARKER, files.root)) == 1


def test_orphans_of_a_killed_supervisor_are_ended_before_their_successors_start(files: StackFiles) -> None:
    supervisor = Supervisor(files)
    supervisor.start()
    supervisor.run(SLEEPER)
    orphan = pid(supervisor)
    end([psutil.Process(int(files.supervisor_pid.read_text()))], patience_s=0)
    assert not supervisor.alive()
    supervisor.start()
    assert pid(supervisor) != orphan
    assert has_ended(orphan)


def has_ended(process: int) -> bool:
    """Whoever takes over an orphan may be slow to ask how it ended: until then its number is there."""
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_status_tells_stopped_from_absent(files: StackFiles) -> None:
    supervisor = Supervisor(files)
    assert supervisor.status("sleeper") == "stopped"
    supervisor.start()
    assert supervisor.status("sleeper") == "absent"
    supervisor.run(SLEEPER)
    assert supervisor.status("sleeper") == "running"
    pid(supervisor)
    supervisor.remove("sleeper")
    assert supervisor.status("sleeper") == "absent"


def test_a_program_of_which_the_supervisor_was_not_told_is_started(files: StackFiles) -> None:
    supervisor = Supervisor(files)
    supervisor.start()
    # As whoever is killed between the two leaves it.
    (files.programs / "sleeper.conf").write_text(SLEEPER.ini(files))
    assert supervisor.status("sleeper") == "absent"
    supervisor.ensure_started("sleeper")
    assert supervisor.status("sleeper") == "running"


def test_a_program_on_standby_runs_only_while_it_is_asked_for(files: StackFiles) -> None:
    supervisor = Supervisor(files)
    supervisor.start()
    supervisor.run(replace(SLEEPER, standby=True))
    assert supervisor.status("sleeper") == "stopped"
    supervisor.ensure_started("sleeper")
    first = pid(supervisor)
    os.kill(first, signal.SIGKILL)
    wait_until("another pid", lambda: pid(supervisor) != first, 10)
    supervisor.stop("sleeper")
    assert supervisor.status("sleeper") == "stopped"
    supervisor.shut_down()
    supervisor.start()
    assert supervisor.status("sleeper") == "stopped"
    supervisor.stop("sleeper")


def test_a_program_is_configured_only_as_it_was_told(files: StackFiles) -> None:
    supervisor = Supervisor(files)
    supervisor.start()
    supervisor.run(SLEEPER)
    assert supervisor.configured(SLEEPER)
    assert not supervisor.configured(Program("sleeper", SLEEPER.command, "/", stop_wait_s=1))


@pytest.mark.parametrize("calls_models", [False, True])
def test_of_the_shell_only_who_calls_models_gets_secrets_and_only_those_of_aws(
    files: StackFiles, monkeypatch: pytest.MonkeyPatch, calls_models: bool
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "for models alone")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "do not pass on")
    supervisor = Supervisor(files)
    supervisor.start()
    supervisor.run(replace(SLEEPER, calls_models=calls_models))
    inherited = psutil.Process(pid(supervisor)).environ()
    assert "PULUMI_CONFIG_PASSPHRASE" not in inherited
    assert ("AWS_SECRET_ACCESS_KEY" in inherited) == calls_models


def test_what_the_supervisor_would_cut_off_is_refused(files: StackFiles) -> None:
    with pytest.raises(HeadraceError, match="supervisor can't take"):
        Program("cut", ("echo", "a #b"), "/").ini(files)
