"""What is measured: the load, the model, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

RUNTIME, WRITTEN_AHEAD = "runtime", "runtime-written-ahead"
ASYNC_FUNCTION, CONSUMER = "async-function", "consumer"
COMPARED = (RUNTIME, ASYNC_FUNCTION, CONSUMER)


@dataclass(frozen=True)
class Model:
    """How the scripted model behaves."""

    latency_ms: int = 0
    hangs: bool = False

    def settings(self) -> Mapping[str, Any]:
        return {"latency_ms": self.latency_ms, "hang_rate": 1.0 if self.hangs else 0.0}


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    model: Model | None
    """None: the agent decides at once, in its process."""
    in_flight: int
    """Calls at once, of one subtask."""
    deadline_ms: int = 120_000
    soft_events: int | None = None
    """The inbox's soft bound, where it is not the plan's."""
    programs: tuple[str, ...] = COMPARED


@dataclass(frozen=True)
class Throughput(Scenario):
    """A backlog is worked off as fast as the program can."""

    most_per_second: int = 600
    """What the backlog has to be enough for."""
    warm_up_s: int = 10
    window_s: int = 20

    @property
    def backlog(self) -> int:
        return self.most_per_second * (self.warm_up_s + self.window_s + 5)

    @property
    def limit_per_second(self) -> float | None:
        """What so many calls at once give at most."""
        return self.in_flight * 1000 / self.model.latency_ms if self.model else None


@dataclass(frozen=True)
class Latency(Scenario):
    """Events come one by one."""

    per_second: int = 50
    warm_up_s: int = 10
    window_s: int = 30


@dataclass(frozen=True)
class Checkpoints(Scenario):
    """How long checkpoints take, with so many runs in flight."""

    per_second: int = 34
    """With a model of 30 s: a good thousand runs in flight."""
    full_at: int = 0
    """Calls in flight at which counting starts."""
    interval_ms: int = 500
    checkpoints: int = 200
    longest_s: int = 150
    programs: tuple[str, ...] = (RUNTIME,)


@dataclass(frozen=True)
class State(Scenario):
    """One event of each of many keys: what is kept of them, and what the plan says that will be."""

    keys: int = 100_000
    bytes_per_key: int = 1024
    """What an event leaves in its key's memory."""
    programs: tuple[str, ...] = (RUNTIME,)


ALL: tuple[Scenario, ...] = (
    Throughput(
        "http-200ms",
        "100 runs in flight, model 200 ms",
        Model(200),
        100,
        programs=(*COMPARED, WRITTEN_AHEAD),
    ),
    Throughput("http-2s", "500 runs in flight, model 2 s", Model(2000), 500, most_per_second=300),
    Throughput("instant", "a decision in the process, no model", None, 100, most_per_second=20_000),
    Latency("latency", "50 events/s, model 200 ms", Model(200), 100, programs=(*COMPARED, WRITTEN_AHEAD)),
    Checkpoints("checkpoints-10ms", "34 events/s, model 10 ms", Model(10), 1_000),
    Checkpoints(
        "checkpoints-30s",
        "34 events/s, model 30 s, 1 000 runs in flight",
        Model(30_000),
        1_000,
        full_at=1_000,
        programs=(RUNTIME, ASYNC_FUNCTION),
    ),
    Checkpoints(
        "checkpoints-hang",
        "34 events/s, a model that hangs, 1 000 runs in flight",
        Model(hangs=True),
        1_000,
        deadline_ms=30_000,
        full_at=1_000,
    ),
    Checkpoints(
        "checkpoints-soft",
        "34 events/s, model 30 s, inbox above its soft bound of 500",
        Model(30_000),
        1_000,
        soft_events=500,
        full_at=1_000,
    ),
    State("state", "what is kept of 100 000 keys with 1 KiB each", None, 100),
)


def quick(scenario: Scenario) -> Scenario:
    """The same, short: to see that it works."""
    match scenario:
        case Throughput():
            return replace(scenario, warm_up_s=6, window_s=8)
        case Latency():
            return replace(scenario, warm_up_s=5, window_s=10)
        case Checkpoints():
            return replace(scenario, checkpoints=20, longest_s=100)
        case State():
            return replace(scenario, keys=5_000)
    return scenario
