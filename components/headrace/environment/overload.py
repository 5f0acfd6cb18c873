"""Loads that their bounds can't carry: each refusal names the load and the bound with their numbers.

By Little's law, events/s x seconds are under way at any moment: as many runs, as many model calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil

from headrace.environment.model import CALLS_PER_SUBTASK, EVENTS_PER_SUBTASK, Agent
from headrace.environment.parts import Parts
from headrace.environment.problem import Problem
from headrace.environment.units import MINUTE_MS, SECOND_MS

SECONDS_PER_MINUTE = MINUTE_MS // SECOND_MS


def load_over_rate_limit(parts: Parts) -> Iterator[Problem]:
    """`model.requests_per_minute` allows the calls of `events_per_second`."""
    for agent, model in parts.models:
        limit, calls = model.value.requests_per_minute, agent.value.workload.calls_per_second
        if limit is not None and calls * SECONDS_PER_MINUTE > limit:
            yield model.problem(
                "requests_per_minute",
                given=f"{limit}: it allows {limit / SECONDS_PER_MINUTE:.15g} calls a second",
                allowed=f"at least {ceil(calls * SECONDS_PER_MINUTE)}: {_calls(agent.value)}, "
                f"{calls:.15g} a second",
            )


def load_over_max_concurrency(parts: Parts) -> Iterator[Problem]:
    """`model.max_concurrency` allows the calls in flight that the load needs."""
    for agent, model in parts.models:
        most, needed = model.value.max_concurrency, agent.value.workload.calls_in_flight
        if most is not None and needed > most:
            yield model.problem(
                "max_concurrency", given=str(most), allowed=f"at least {ceil(needed)}: {_calls(agent.value)}"
            )


def load_over_subtasks(parts: Parts) -> Iterator[Problem]:
    """`parallelism_min` subtasks can keep the needed calls in flight, 256 each."""
    for agent in parts.agents:
        subtasks, needed = agent.value.scaling.parallelism_min, agent.value.workload.calls_in_flight
        if needed > subtasks * CALLS_PER_SUBTASK:
            yield agent.problem(
                "scaling",
                "parallelism_min",
                given=f"{subtasks}: its subtasks keep {subtasks * CALLS_PER_SUBTASK} calls in flight, "
                f"{CALLS_PER_SUBTASK} each",
                allowed=f"at least {ceil(needed / CALLS_PER_SUBTASK)}: {_calls(agent.value)}",
            )


def load_over_cpu(parts: Parts) -> Iterator[Problem]:
    """`parallelism_max` subtasks have the CPU for `events_per_second`, 4000 each."""
    for agent in parts.agents:
        subtasks, rate = agent.value.scaling.parallelism_max, agent.value.workload.events_per_second
        if rate > subtasks * EVENTS_PER_SUBTASK:
            yield agent.problem(
                "scaling",
                "parallelism_max",
                given=f"{subtasks}: its subtasks take {subtasks * EVENTS_PER_SUBTASK} events a second, "
                f"{EVENTS_PER_SUBTASK} each",
                allowed=f"at least {ceil(rate / EVENTS_PER_SUBTASK)} for workload.events_per_second {rate}",
            )


def load_over_keys(parts: Parts) -> Iterator[Problem]:
    """There are keys enough for the runs under way: a key's events are decided one after the other."""
    for agent in parts.agents:
        keys, needed = agent.value.workload.keys, agent.value.workload.calls_in_flight
        if needed > keys:
            yield agent.problem(
                "workload",
                "keys",
                given=f"{keys}: one run each, {keys} at a time",
                allowed=f"at least {ceil(needed)}: {_calls(agent.value)}",
            )


def fewer_keys_than_subtasks(parts: Parts) -> Iterator[Problem]:
    """There is a key for each of `parallelism_min` subtasks, or some never get an event."""
    for agent in parts.agents:
        keys, subtasks = agent.value.workload.keys, agent.value.scaling.parallelism_min
        if keys < subtasks:
            yield agent.problem(
                "scaling", "parallelism_min", given=str(subtasks), allowed=f"at most workload.keys, {keys}"
            )


def load_over_inbox(parts: Parts) -> Iterator[Problem]:
    """The inbox's bounds hold a subtask's share of the runs under way, or it is full all the time."""
    for agent in parts.agents:
        limits, subtasks = agent.value.limits, agent.value.scaling.parallelism_min
        share = agent.value.workload.calls_in_flight / subtasks
        bounds = {
            "inbox_soft_events": limits.inbox_soft_events,
            "inbox_hard_events": limits.inbox_hard_events,
        }
        for name, bound in bounds.items():
            if bound is not None and share > bound:
                yield agent.problem(
                    "limits",
                    name,
                    given=str(bound),
                    allowed=f"at least {ceil(share)}: {_calls(agent.value)}, over {subtasks} subtasks",
                )


def expiry_forgets_keys(parts: Parts) -> Iterator[Problem]:
    """`memory_expiry` lets as many keys have memory as `keys` says: an event touches one."""
    for agent in parts.agents:
        workload, expiry = agent.value.workload, agent.value.limits.memory_expiry
        if expiry is not None and workload.events_per_second * expiry.seconds < workload.keys:
            touched = workload.events_per_second * expiry.seconds
            yield agent.problem(
                "limits",
                "memory_expiry",
                given=f"{expiry}: {workload.events_per_second} events a second touch {touched:.15g} keys "
                "in it",
                allowed=f"at least {ceil(workload.keys / workload.events_per_second)}s, in which all of "
                f"workload.keys, {workload.keys}, can get an event",
            )


def _calls(agent: Agent) -> str:
    workload = agent.workload
    calls = "" if workload.calls_per_event == 1 else f" and {workload.calls_per_event:.15g} calls each"
    return (
        f"workload.events_per_second {workload.events_per_second} with a model_latency of "
        f"{workload.model_latency}{calls} need {workload.calls_in_flight:.15g} calls in flight"
    )


RULES: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    load_over_rate_limit,
    load_over_max_concurrency,
    load_over_subtasks,
    load_over_cpu,
    load_over_keys,
    fewer_keys_than_subtasks,
    load_over_inbox,
    expiry_forgets_keys,
)
