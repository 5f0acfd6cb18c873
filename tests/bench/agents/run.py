"""`make bench-agents`: the same work by this runtime and by what people would write instead.

One subtask; Flink, Kafka and the scripted model on the same processor cores. Each scenario has its own file
of figures. The programs of a scenario take turns, as often as ``--runs`` says.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.bench import machine, report
from tests.bench.agents import measure, scenarios, tables
from tests.bench.agents.cluster import Cluster
from tests.bench.agents.contestants import OTHER, TITLES, specification
from tests.bench.agents.scenarios import Checkpoints, Latency, Scenario, State, Throughput
from tests.bench.agents.traffic import INPUT_PARTITIONS, OUTPUT_PARTITIONS, Kafka

Figures = dict[str, Any]


def main() -> None:
    options = _options()
    console = Console()
    cluster = Cluster()
    wanted = [s for s in scenarios.ALL if not options.scenario or s.name in options.scenario]
    try:
        cluster.start(console)
        for scenario in map(scenarios.quick, wanted) if options.quick else wanted:
            figures = _run(cluster, scenario, options, console)
            console.print(tables.table(figures))
            if options.keep_figures:
                path = machine.write(f"agents-{scenario.name}", figures)
                report.write()
                console.print(f"written to {os.path.relpath(path)}")
    finally:
        if not options.keep:
            cluster.clean()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.bench.agents.run", description=__doc__)
    names = [scenario.name for scenario in scenarios.ALL]
    parser.add_argument("--scenario", action="append", choices=names, help="may be given more than once")
    parser.add_argument(
        "--program", action="append", choices=list(TITLES), help="may be given more than once"
    )
    parser.add_argument("--code", action="append", type=Path, default=[], help="another `agent_jobs`, too")
    parser.add_argument("--runs", type=int, default=3, help="of each program; checkpoints and state have one")
    parser.add_argument("--quick", action="store_true", help="short windows, to see that it works")
    parser.add_argument("--keep", action="store_true", help="leave the cluster up for the next call")
    parser.add_argument("--flink", action="append", default=[], metavar="KEY=VALUE", help="an option to try")
    options = parser.parse_args()
    # What was measured otherwise than `make bench-agents` does is shown, and not kept.
    options.keep_figures = not (options.quick or options.flink or options.program or options.code)
    return options


def _run(cluster: Cluster, scenario: Scenario, options: argparse.Namespace, console: Console) -> Figures:
    kafka = Kafka(cluster.bootstrap_servers)
    made = f"{scenario.name}-{int(time.time())}"
    topic = f"bench.{made}"
    kafka.create(topic, INPUT_PARTITIONS)
    if scenario.model:
        cluster.set_model(scenario.model.settings())
    if isinstance(scenario, Throughput):
        kafka.send(topic, scenario.backlog)
    if isinstance(scenario, State):
        kafka.send_one_of_each(topic, scenario.keys, scenario.bytes_per_key)
    flink = dict(option.split("=", 1) for option in options.flink)
    programs, runs = _programs(scenario, options)
    found: dict[str, list[Figures]] = {program: [] for program in programs}
    place = count(1)
    for number in range(1, runs + 1):
        for program in programs:
            name = f"{program.partition('@')[0]}-{made}-{next(place)}"
            own = _own_topic(kafka, scenario, name) or topic
            spec = specification(cluster, scenario, program, name, flink, own)
            for output in spec.outputs.all:
                kafka.create(output, OUTPUT_PARTITIONS)
            kafka.create(spec.journal.topic, spec.journal.partitions)
            figures = _measurement(scenario)(cluster, kafka, program, spec, scenario)
            found[program].append(figures)
            console.print(f"{scenario.name}, run {number} of {runs}, {program}: {figures}")
    return _figures(scenario, found)


def _programs(scenario: Scenario, options: argparse.Namespace) -> tuple[list[str], int]:
    runs = 1 if isinstance(scenario, Checkpoints | State) else options.runs
    wanted = [program for program in scenario.programs if not options.program or program in options.program]
    return [*(f"{OTHER}{folder.absolute()}" for folder in options.code), *wanted], runs


def _own_topic(kafka: Kafka, scenario: Scenario, name: str) -> str | None:
    """A backlog is there for every program; events that come one by one are one program's."""
    if isinstance(scenario, Throughput | State):
        return None
    kafka.create(f"bench.{name}", INPUT_PARTITIONS)
    return f"bench.{name}"


def _measurement(scenario: Scenario) -> Callable[..., Figures]:
    match scenario:
        case Throughput():
            return measure.throughput
        case Latency():
            return measure.latency
        case State():
            return measure.state
    return measure.checkpoints


def _figures(scenario: Scenario, found: Mapping[str, list[Figures]]) -> Figures:
    """The runs brought together: the spread of each number, the cores of the last run."""
    load: Figures = {"title": scenario.title, "in_flight": scenario.in_flight}
    if isinstance(scenario, Throughput):
        load["limit_per_second"] = scenario.limit_per_second
    return {
        "scenario": scenario.name,
        "load": load,
        "programs": {program: _together(runs) for program, runs in found.items()},
    }


def _together(runs: list[Figures]) -> Figures:
    *_, last = runs
    return {
        name: _spread([run[name] for run in runs]) if name not in ("cores", "calls_in_flight") else value
        for name, value in last.items()
    }


def _spread(values: list[Any]) -> Any:
    if isinstance(values[0], dict):
        return {name: _spread([value[name] for value in values]) for name in values[0]}
    return None if values[0] is None else machine.spread(values)


if __name__ == "__main__":
    main()
