"""Setup: what is still missing in this checkout and its cache is made, side by side where that is safe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import (
    environments,
    kubernetes_for_tests,
    mariadb_for_tests,
    places,
    prometheus_for_tests,
    pulumi_cli,
    requirements,
    runtimes,
)
from .console import Console, Finished, Step, StepFailed


class MissingRequirements(Exception):
    """The machine lacks something; the message lists all of it. Nothing was changed."""


@dataclass(frozen=True)
class Summary:
    """What a setup did."""

    steps: tuple[Finished, ...]
    """Empty where everything was there already."""
    seconds: float
    runtimes: Path
    pulumi: Path


def setup(console: Console) -> Summary:
    """Bring everything to this checkout's pins; quick where it is there already.

    Raises:
        MissingRequirements: before anything is changed.
        StepFailed: a step did not end well; what was done stays, and setup can be run again.
    """
    started = time.monotonic()
    installer = _needs_pulumi() and pulumi_cli.installer_reachable()
    _require(installer=installer)
    if not _complete():
        with (
            places.only_one(places.cache() / "setup.lock", lambda holder: _say_waiting(console, holder)),
            console.ticking(),
        ):
            _make_missing(console, installer=installer)
    return Summary(
        tuple(console.finished),
        round(time.monotonic() - started, 1),
        runtimes.home(),
        pulumi_cli.bin_folder(),
    )


def setup_tests(console: Console) -> None:
    """Build what tests alone need beside :func:`setup`'s work; quick where it is there already.

    Raises:
        MissingRequirements: before anything is changed.
        StepFailed: the build did not end well.
    """
    wanted = [
        (name, of_debian)
        for name, of_debian in (("Prometheus", prometheus_for_tests), ("MariaDB", mariadb_for_tests))
        if of_debian.can_be_had() and not of_debian.ready()
    ]
    if kubernetes_for_tests.ready() and not wanted:
        return
    lacks = requirements.missing(requirements.Needs(maven=False, go=not kubernetes_for_tests.ready()))
    if lacks:
        raise MissingRequirements(requirements.explain(lacks))
    lock = places.cache() / "setup.lock"
    with places.only_one(lock, lambda holder: _say_waiting(console, holder)), console.ticking():
        if not kubernetes_for_tests.ready():
            _in_step(console, "Kubernetes API server (built from its Go modules)", kubernetes_for_tests.make)
        for name, of_debian in wanted:
            if not of_debian.ready():
                _fetch(console, name, of_debian.make)


def _fetch(console: Console, name: str, make: Callable[[Step], None]) -> None:
    """Tests do without it where it can't be had, and say so."""
    try:
        _in_step(console, f"{name} (Debian's package)", make)
    except StepFailed as failed:
        console.say(f"Tests that need {name} are left out: {failed}")


def _needs_pulumi() -> bool:
    return not pulumi_cli.ready() and pulumi_cli.on_path() is None


def _require(*, installer: bool) -> None:
    needs = requirements.Needs(maven=not runtimes.ready(), go=_needs_pulumi() and not installer)
    if lacks := requirements.missing(needs):
        raise MissingRequirements(requirements.explain(lacks))


def _complete() -> bool:
    environments_ready = all(environment.ready() for environment in environments.ENVIRONMENTS)
    return environments_ready and runtimes.ready() and pulumi_cli.ready()


def _say_waiting(console: Console, holder: str) -> None:
    console.say(f"  ...  another setup is running (process {holder}); waiting for it")


def _make_missing(console: Console, *, installer: bool) -> None:
    """Asked again here, under the lock: another setup may have made it meanwhile."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        try:
            tasks = list(_start(pool, console, installer=installer))
            done, _ = wait(tasks, return_when=FIRST_EXCEPTION)
            for task in done:
                task.result()
        except BaseException:
            # Also at an interrupt: the pool waits for its threads, and they for their commands.
            console.stop_children()
            raise


def _start(pool: ThreadPoolExecutor, console: Console, *, installer: bool) -> Iterator[Future[None]]:
    """Start what is missing, the longest first."""

    def start(name: str, work: Callable[[Step], None]) -> Future[None]:
        return pool.submit(_in_step, console, name, work)

    if not pulumi_cli.ready():
        name = "Pulumi CLI" if installer or pulumi_cli.on_path() else "Pulumi CLI (built from its Go modules)"
        yield start(name, lambda step: pulumi_cli.make(step, installer=installer))
    made: dict[environments.Environment, Future[None]] = {}
    lacking = [environment for environment in environments.ENVIRONMENTS if not environment.ready()]
    if lacking:
        with console.step("uv") as step:
            uv = environments.find_uv(step)
        for environment in lacking:
            made[environment] = start(environment.name, partial(environment.make, uv))
    if not runtimes.ready():
        yield start("runtimes", lambda step: runtimes.make(step, made.get(environments.AGENTS)))
    yield from made.values()


def _in_step(console: Console, name: str, work: Callable[[Step], None]) -> None:
    with console.step(name) as step:
        work(step)
