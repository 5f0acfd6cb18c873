"""``headrace-agents upgrade``: an upgrade's part in an agent's topics, done where these can be reached.

Each answer is a line of JSON on standard output, ``{"answer": ...}``; whatever else is there is a client's.
Where it can't be done, ``{"error": "why"}`` is the last line and the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from headrace_agents.spec import AgentJobSpec
from headrace_agents.topics import Broker, TopicError, ends
from headrace_agents.upgrades.answers import ANSWER, ERROR
from headrace_agents.upgrades.deeds import Deeds, backlog, between_decisions_s, recent_conduct
from headrace_agents.upgrades.rollback import Undone, undoing
from headrace_agents.upgrades.told import Ends, Seen, Undoing
from headrace_agents.upgrades.vitals import vitals
from headrace_agents.upgrades.winding_down import wind_down

EVERY_S = 1.0
"""Between two looks of a watch."""
_FLINK_TIMEOUT_S = 10

Answers = Iterator[BaseModel | float | None]
_OFFSETS = TypeAdapter(dict[int, int])


def upgrade(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """do an upgrade's part in an agent's topics"""
    parser.add_argument("--spec", type=Path, required=True, help="file with an AgentJobSpec as JSON")
    parser.add_argument("step", choices=STEPS, help="what is to be told or done")
    offsets = "offsets by partition, as JSON"
    parser.add_argument("--outcomes", type=_OFFSETS.validate_json, default={}, help=f"{offsets}: the cutover")
    parser.add_argument("--runs", type=_OFFSETS.validate_json, default={}, help=f"{offsets}: the cutover")
    parser.add_argument("--flink", help="address of the job's Flink: watch")
    parser.add_argument("--rollback", help="id of the upgrade that is undone: note, catch-up")
    parser.add_argument("--until", type=Undoing.model_validate_json, help="as `undoing` told it")
    return _run


def _run(options: argparse.Namespace) -> int:
    spec = AgentJobSpec.model_validate_json(options.spec.read_text())
    try:
        for answer in STEPS[options.step](spec, options):
            told = answer.model_dump(mode="json") if isinstance(answer, BaseModel) else answer
            _say({ANSWER: told})
    except TopicError as error:
        _say({ERROR: str(error)})
        return 1
    return 0


def _say(line: Mapping[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def _conduct(spec: AgentJobSpec, _: argparse.Namespace) -> Answers:
    yield recent_conduct(spec)


def _wind_down(spec: AgentJobSpec, _: argparse.Namespace) -> Answers:
    yield wind_down(spec)


def _ends(spec: AgentJobSpec, _: argparse.Namespace) -> Answers:
    broker = Broker.of(spec)
    yield Ends(outcomes=ends(broker, spec.outputs.outcomes), runs=ends(broker, spec.outputs.runs))


def _watch(spec: AgentJobSpec, options: argparse.Namespace) -> Answers:
    """Again and again; None where Flink or Kafka does not answer."""
    deeds = Deeds(spec, options.outcomes, options.runs)
    while True:
        try:
            found = vitals(lambda path: _flink(options.flink + path), spec.name)
            yield found and Seen(vitals=found, backlog=backlog(spec), conduct=deeds.conduct())
        except (TopicError, OSError, ValueError, LookupError):
            yield None
        time.sleep(EVERY_S)


def _between(spec: AgentJobSpec, options: argparse.Namespace) -> Answers:
    yield between_decisions_s(spec, options.outcomes)


def _undoing(spec: AgentJobSpec, _: argparse.Namespace) -> Answers:
    yield undoing(spec)


def _note(spec: AgentJobSpec, options: argparse.Namespace) -> Answers:
    Undone(spec, options.rollback, options.outcomes, options.until).note()
    yield None


def _catch_up(spec: AgentJobSpec, options: argparse.Namespace) -> Answers:
    yield Undone(spec, options.rollback, options.outcomes, options.until).catch_up()


STEPS: Mapping[str, Callable[[AgentJobSpec, argparse.Namespace], Answers]] = {
    "conduct": _conduct,
    "wind-down": _wind_down,
    "ends": _ends,
    "watch": _watch,
    "between": _between,
    "undoing": _undoing,
    "note": _note,
    "catch-up": _catch_up,
}


def _flink(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(address, timeout=_FLINK_TIMEOUT_S) as answer:  # noqa: S310 (a service's)
        return dict(json.loads(answer.read()))
