"""`docs/measurements.md` from the newest figures: written by each benchmark at its end, or by this alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.bench import machine
from tests.bench.agents import scenarios, tables

DOCUMENT = machine.PROJECT / "docs" / "measurements.md"
PART_NAMES = {
    "commit_to_kafka": "commit in PostgreSQL to record in Kafka",
    "kafka_to_run": "record in Kafka to start of the run",
    "run": "the run: the model's 200 ms and the agent's own work",
    "run_to_visible": "end of the run to a `read_committed` consumer",
    "total": "all of it",
    "added": "**added to the model's own time**",
}

PARTS_OF_A_GAP = {
    "stop_s": "stopped with a savepoint",
    "submit_s": "submitted",
    "start_s": "all tasks run",
    "decisions_s": "**between decisions**",
}

AGENTS = """## The agent runtime beside other programs

One subtask; Flink, Kafka and the scripted model share the machine's processor cores. Each program does the
same work for an event: one question to the model by the same client, one decision. `AsyncFunction` runs in a
plain PyFlink job with PyFlink's defaults and the same exactly-once sink; the consumer keeps no state and
loses what is in flight when it ends."""


def write() -> None:
    DOCUMENT.write_text(text())


def text() -> str:
    """The whole document; a benchmark that was never run is said to be so."""
    sections = [
        "# Measurements",
        "The newest figures, written by the benchmarks themselves from `tests/bench/results/`.",
        _section("Latency, checkpoints and memory", "make bench", machine.newest("latency"), _latency),
        _section("From a fresh clone to the first decision", "make bench-up", machine.newest("up"), _up),
        _section("A drill with an objective of 30 s", "make bench-drill", machine.newest("drill"), _drill),
        _section("After a kill", "make chaos", machine.newest("healing"), _healing),
        _section("An agent while everything breaks", "make chaos", machine.newest("agents"), _faults),
        _section("Python's memory", "make soak", machine.newest("soak"), _soak),
        _section("A cold preview on AWS", "make bench-preview", machine.newest("preview"), _preview),
        _section("From a commit to its record in Kafka", "make bench-cdc", machine.newest("cdc"), _cdc),
        _section("The layer over a model's client", "make bench-layer", machine.newest("layer"), _layer),
        _section(
            "Verification of a savepoint",
            "make bench-verification",
            machine.newest("verification"),
            _verification,
        ),
        _section(
            "Decisions while an agent is upgraded", "make bench-upgrade", machine.newest("upgrade"), _upgrade
        ),
        AGENTS,
        *(_scenario(scenario) for scenario in scenarios.ALL),
    ]
    return "\n\n".join(sections) + "\n"


def _scenario(scenario: scenarios.Scenario) -> str:
    command = f'make bench-agents ARGS="--scenario {scenario.name}"'
    found = machine.newest(f"agents-{scenario.name}")
    return "#" + _section(scenario.title.capitalize(), command, found, lambda it: _table(*tables.cells(it)))


def _section(
    title: str, command: str, found: dict[str, Any] | None, body: Callable[[dict[str, Any]], str]
) -> str:
    if found is None:
        return f"## {title}\n\nNot measured yet: `{command}`."
    on = found["machine"]
    where = (
        f"`{command}`, {on['at']}, commit {on['commit']}: {on['processor']}, {on['cores']} cores,"
        f" {on['memory_gib']} GiB, kernel {on['kernel']}, Python {on['python']}, {on['java']}."
    )
    return f"## {title}\n\n{where}\n\n{body(found)}"


def _latency(found: dict[str, Any]) -> str:
    load = found["load"]
    agents = list(found["latency_ms"])
    rows = [
        [name]
        + [
            f"{cell['median']:.0f} ({cell['min']:.0f}-{cell['max']:.0f})"
            for agent in agents
            for cell in (found["latency_ms"][agent][part]["p50"], found["latency_ms"][agent][part]["p99"])
        ]
        for part, name in PART_NAMES.items()
    ]
    head = ["ms, median of the runs (least-most)"] + [
        f"{agent} {q}" for agent in agents for q in ("p50", "p99")
    ]
    checkpoints = [
        [agent, *(f"{c[q]:.0f}" for q in ("count", "p50", "p99", "max"))]
        for agent, c in found["checkpoint_ms"].items()
    ]
    memory = [[name, str(mib)] for name, mib in found["memory_mib"]["at-least-once"].items()]
    how = f"{load['events_per_second']} inserts/s for {load['seconds']} s, each kind of delivery by itself"
    parts = [
        f"{how}; model {load['model_ms']} ms; checkpoint interval {found['checkpoint_interval_ms']} ms.",
        _table(head, rows),
        _table(["checkpoint duration, ms", "count", "p50", "p99", "max"], checkpoints),
        _table(["memory (PSS with children)", "MiB"], memory),
    ]
    return "\n\n".join(parts)


def _up(found: dict[str, Any]) -> str:
    rows = [
        [case, *(f"{figures[name]:.0f}" for name in ("to_first_decision", "first_up", "second_up"))]
        for case, figures in found["seconds"].items()
    ]
    return _table(
        ["seconds; all caches cold", "to the first decision", "first `make up`", "second `make up`"], rows
    )


def _drill(found: dict[str, Any]) -> str:
    load, times = found["load"], ("detection", "restore", "catch_up")
    how = (
        f"{load['events_per_second']:.0f} events/s, {load['events']} in all, each with exactly one outcome;"
        f" model {load['model_ms']} ms; `recovery.max_recovery` {found['objective_s']:.0f} s."
        " [What the times are](operations.md#drills)."
    )
    rows = [
        [
            kill,
            *("{median:.1f} ({min:.1f}-{max:.1f})".format(**drills[name]) for name in times),
            f"{drills['met']} of {drills['catch_up']['runs']}",
        ]
        for kill, drills in found["seconds"].items()
    ]
    head = [
        "seconds from `kill -9`, median (least-most)",
        "detection",
        "restore",
        "catch-up",
        "objective met",
    ]
    return f"{how}\n\n{_table(head, rows)}"


def _faults(found: dict[str, Any]) -> str:
    faults = found["faults"]
    return (
        f"{faults['events']} events, {faults['faults']} faults (kills of worker, TaskManager and JobManager,"
        f" rescales from 2 to 4 to 1): {faults['calls_paid_twice']} model calls were paid twice;"
        f" {faults['calls_in_flight_at_the_faults']} calls were in flight when the faults came,"
        f" at most {faults['runs_in_flight_at_most']} runs when subtasks ended."
    )


def _soak(found: dict[str, Any]) -> str:
    mib = 1024 * 1024
    half, end = found["samples"][len(found["samples"]) // 2], found["samples"][-1]
    return (
        f"{found['runs']} runs in {found['seconds']} s: {half['resident_bytes'] / mib:.0f} MiB resident after"
        f" half of the time, {end['resident_bytes'] / mib:.0f} MiB at the end;"
        f" {found['bytes_per_run_over_the_second_half']} bytes a run over the second half"
        f" (limit {found['limit_bytes_per_run']})."
    )


def _healing(found: dict[str, Any]) -> str:
    rows = [[victim, ", ".join(f"{s:.0f}" for s in seconds)] for victim, seconds in found["seconds"].items()]
    return _table(["`kill -9` of, under load", "seconds until new events are decided"], rows)


def _preview(found: dict[str, Any]) -> str:
    phases = ("engine", "program", "resources", "end", "whole")
    rows = [
        [
            f"`{stack}`",
            *("{median:.1f} ({min:.1f}-{max:.1f})".format(**seen["seconds"][phase]) for phase in phases),
            str(seen["resources"]),
        ]
        for stack, seen in found["stacks"].items()
    ]
    told = (
        "Seconds. The real engine; providers are stand-ins, so what AWS and Kubernetes take to answer is not"
        " in it. The engine's events are told to the second.\n\n"
    )
    return told + _table(["stack", *phases, "resources"], rows)


def _cdc(found: dict[str, Any]) -> str:
    rows = [
        [
            str(rate["changes_per_second"]),
            *("{median:.0f} ({min:.0f}-{max:.0f})".format(**rate["ms"][q]) for q in ("p50", "p99", "max")),
            "yes" if rate["holds"] else "no",
        ]
        for rate in found["rates"]
    ]
    told = (
        f"Milliseconds; {found['writers']} writers, single rows, {found['seconds']} s a run. Until a"
        " `read_committed` consumer has the record.\n\n"
    )
    return told + _table(["changes/s", "p50", "p99", "most", "p50 below 30 ms, p99 below 150 ms"], rows)


def _verification(found: dict[str, Any]) -> str:
    rows = [
        [memories, *(f"{cells[name]:g}" for name in ("seconds", "processor_seconds", "peak_mib"))]
        for memories, cells in found["memories"].items()
    ]
    told = (
        f"Memories of {found['size_bytes']} bytes, each of them migrated; the program and all that it starts"
        " bound to one core, which other work may share.\n\n"
    )
    return told + _table(["memories", "seconds", "of processor time", "MiB resident at most"], rows)


def _upgrade(found: dict[str, Any]) -> str:
    told = (
        f"{found['events_per_second']:.0f} changes a second, {found['model_ms']} ms for each answer;"
        " other code, proved and started beside the version that decides.\n\n"
    )
    rows = [
        [name, f"{cell['median']:.1f} ({cell['min']:.1f}-{cell['max']:.1f})"]
        for part, name in PARTS_OF_A_GAP.items()
        if (cell := found["seconds"][part])
    ]
    return told + _table(["s, median of the upgrades (least-most)", ""], rows)


LAYERS = {
    "package": "the openai package, its retries off",
    "client": "the client that the layer is over: one attempt",
    "layer": "the layer: limits in requests and tokens, budgets, prices, cache, fallback, calls at once",
}


def _layer(found: dict[str, Any]) -> str:
    rows = []
    for program, told in LAYERS.items():
        figures = found["programs"][program]
        cpu = "{median:.0f} ({min:.0f}-{max:.0f})".format(**figures["cpu_us"])
        rows.append([told, cpu, f"{figures['per_second']['median']:.0f}"])
    head = ["a call by", "processor time, us", "calls/s of one process"]
    return f"{found['calls']} calls a run, {len(rows)} programs by turns.\n\n" + _table(head, rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


if __name__ == "__main__":
    write()
