"""`make bench-check`: the newest figures against their limits; exit code 1 if one is missed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench import machine

Figures = dict[str, Any]


@dataclass(frozen=True)
class Limit:
    what: str
    benchmark: str
    figure: Callable[[Figures], float | None]
    bound: Callable[[Figures], float | None]
    unit: str
    at_least: bool = False
    """The figure has to be at least the bound, not at most."""

    def holds(self, measured: float, bound: float) -> bool:
        return measured >= bound if self.at_least else measured <= bound


def _added(delivery: str) -> Callable[[Figures], float]:
    return lambda found: float(found["latency_ms"][delivery]["added"]["p50"]["median"])


def _seconds(case: str, name: str) -> Callable[[Figures], float | None]:
    return lambda found: found["seconds"].get(case, {}).get(name)


def _first_decision(case: str) -> Callable[[Figures], float | None]:
    return _seconds(case, "to_first_decision")


def _preview(stack: str) -> Callable[[Figures], float]:
    return lambda found: float(found["stacks"][stack]["seconds"]["whole"]["median"])


def _rate(program: str) -> Callable[[Figures], float]:
    return lambda found: float(found["programs"][program]["per_second"]["median"])


def _share(share: float) -> Callable[[Figures], float]:
    return lambda found: share * float(found["load"]["limit_per_second"])


def _checkpoint(program: str = "runtime") -> Callable[[Figures], float]:
    return lambda found: float(found["programs"][program]["checkpoint_ms"]["p99"]["median"])


def _to_planned(kind: str) -> Callable[[Figures], float]:
    return lambda found: 100 * float(found["programs"]["runtime"][f"{kind}_to_planned"]["median"])


def _of_other(scenario: str, bound: Callable[[Figures], float]) -> Callable[[Figures], float | None]:
    """A bound that follows from the newest figures of another scenario."""

    def found_there(_: Figures) -> float | None:
        other = machine.newest(scenario)
        return bound(other) if other else None

    return found_there


def _caught_up(kill: str) -> Callable[[Figures], float]:
    return lambda found: float(found["seconds"][kill]["catch_up"]["median"])


def _cpu_ms(program: str) -> Callable[[Figures], float]:
    return lambda found: float(found["programs"][program]["cpu_us"]["median"]) / 1000


def _captured(quantile: str) -> Callable[[Figures], float]:
    """At the first rate, 500 changes a second."""
    return lambda found: float(found["rates"][0]["ms"][quantile]["median"])


def _verification(figure: str, memories: int = 100_000) -> Callable[[Figures], float]:
    return lambda found: float(found["memories"][str(memories)][figure])


FAST_MODEL, SLOW_MODEL = "agents-checkpoints-10ms", "agents-checkpoints-30s"
LIKE_FAST_MODEL = _of_other(FAST_MODEL, lambda found: 1.5 * _checkpoint()(found) + 50)

AGENTS = (
    Limit(
        "decisions with 100 runs in flight on a 200 ms model: 70% of the arithmetic limit",
        "agents-http-200ms",
        _rate("runtime"),
        _share(0.7),
        "/s",
        at_least=True,
    ),
    Limit(
        "decisions with 500 runs in flight on a 2 s model: 80% of the arithmetic limit",
        "agents-http-2s",
        _rate("runtime"),
        _share(0.8),
        "/s",
        at_least=True,
    ),
    Limit(
        "decisions without a model", "agents-instant", _rate("runtime"), lambda _: 2_000, "/s", at_least=True
    ),
    Limit(
        "added: event in Kafka to model called, model answered to decision produced, p50",
        "agents-latency",
        lambda found: float(found["programs"]["runtime"]["added_ms"]["p50"]["median"]),
        lambda _: 130,
        "ms",
    ),
    Limit(
        "checkpoint p99 with a 30 s model: 1.5 x with a 10 ms model + 50 ms",
        SLOW_MODEL,
        _checkpoint(),
        LIKE_FAST_MODEL,
        "ms",
    ),
    Limit(
        "checkpoint p99 with a model that hangs: the same",
        "agents-checkpoints-hang",
        _checkpoint(),
        LIKE_FAST_MODEL,
        "ms",
    ),
    Limit(
        "checkpoint p99 with a 30 s model: a 50th of AsyncFunction's",
        SLOW_MODEL,
        _checkpoint(),
        lambda found: _checkpoint("async-function")(found) / 50,
        "ms",
    ),
    Limit(
        "checkpoint p99 above the inbox's soft bound: 250 ms more",
        "agents-checkpoints-soft",
        _checkpoint(),
        _of_other(SLOW_MODEL, lambda found: _checkpoint()(found) + 250),
        "ms",
    ),
    *(
        Limit(
            f"state of 100 000 keys in a {kind}: {text} of what is planned",
            "agents-state",
            _to_planned(kind),
            lambda _, bound=bound: bound,  # type: ignore[misc]
            "%",
            at_least=at_least,
        )
        for kind in ("checkpoint", "savepoint")
        for text, bound, at_least in (("at most twice", 200, False), ("at least half", 50, True))
    ),
)
DRILLS = tuple(
    Limit(
        f"`headrace drill`: kill of a {kill} to all as before, under load",
        "drill",
        _caught_up(kill),
        lambda found: float(found["objective_s"]),
        "s",
    )
    for kill in ("taskmanager", "jobmanager", "worker")
)
LIMITS = (
    Limit(
        "added to the model's time, at-least-once, p50",
        "latency",
        _added("at-least-once"),
        lambda _: 200,
        "ms",
    ),
    Limit(
        "added to the model's time, exactly-once, p50: one checkpoint interval more",
        "latency",
        _added("exactly-once"),
        lambda found: 200 + found["checkpoint_interval_ms"],
        "ms",
    ),
    Limit("fresh clone to first decision, with a CLI", "up", _first_decision("with-cli"), lambda _: 180, "s"),
    Limit(
        "fresh clone to first decision, without a CLI",
        "up",
        _first_decision("without-cli"),
        lambda _: 600,
        "s",
    ),
    Limit("second `make up`", "up", _seconds("with-cli", "second_up"), lambda _: 30, "s"),
    Limit(
        "cold preview of production, providers stood in for", "preview", _preview("prod"), lambda _: 60, "s"
    ),
    Limit(
        "judged by the policies: 5 s more",
        "preview",
        _preview("prod, judged"),
        lambda found: _preview("prod")(found) + 5,
        "s",
    ),
    Limit(
        "processor time of a call through all layers: 1 ms more than the bare client's",
        "layer",
        _cpu_ms("layer"),
        lambda found: _cpu_ms("client")(found) + 1,
        "ms",
    ),
    Limit("commit to record in Kafka at 500 changes/s, p50", "cdc", _captured("p50"), lambda _: 30, "ms"),
    Limit("commit to record in Kafka at 500 changes/s, p99", "cdc", _captured("p99"), lambda _: 150, "ms"),
    Limit(
        "verification of 100 000 memories of 1 KiB on one core",
        "verification",
        _verification("seconds"),
        lambda _: 60,
        "s",
    ),
    Limit(
        "its memory: that of 10 000, and a tenth more",
        "verification",
        _verification("peak_mib"),
        lambda found: 1.1 * _verification("peak_mib", 10_000)(found),
        "MiB",
    ),
    Limit(
        "an upgrade under 50 events/s: between decisions",
        "upgrade",
        lambda found: float(found["seconds"]["decisions_s"]["median"]),
        lambda _: 10,
        "s",
    ),
    *AGENTS,
    *DRILLS,
)


def main() -> int:
    table = Table(title="Newest figures against their limits", title_justify="left")
    for column in ("figure", "measured", "limit", "on", ""):
        table.add_column(column)
    missed = 0
    for limit in LIMITS:
        found = machine.newest(limit.benchmark)
        measured = limit.figure(found) if found else None
        bound = limit.bound(found) if found else None
        if found is None or measured is None or bound is None:
            table.add_row(limit.what, "not measured", "", "", "[yellow]?[/]")
            missed += 1
            continue
        held = limit.holds(measured, bound)
        missed += not held
        verdict = "[green]holds[/]" if held else "[red]missed[/]"
        on = f"{found['machine']['cores']} cores, {found['machine']['at']}"
        table.add_row(limit.what, f"{measured:.0f} {limit.unit}", f"{bound:.0f} {limit.unit}", on, verdict)
    Console().print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
