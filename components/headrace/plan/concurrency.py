"""Model calls in flight: Little's law over the load, within what one loop and the provider allow."""

from __future__ import annotations

import math

from headrace.environment.model import CALLS_PER_SUBTASK, Agent, ChatEndpoint, ModelEndpoint
from headrace.environment.units import MINUTE_MS
from headrace.plan.because import Because, because

HEADROOM = 3
"""Calls in flight over what the load needs: to catch up after an outage, and for slow answers."""
IN_FLIGHT_MIN = 4
"""Per subtask."""


def calls_per_second(agent: Agent) -> Because[float]:
    """What the load makes."""
    workload = agent.workload
    if agent.model is None:
        return because(0.0, "the agent calls 0 models")
    return because(
        float(workload.calls_per_second),
        f"{workload.events_per_second} events/s x {workload.calls_per_event:.15g} calls",
    )


def calls_needed(agent: Agent) -> Because[int]:
    """What the load alone keeps in flight, without headroom."""
    workload = agent.workload
    if agent.model is None:
        return because(0, "the agent calls 0 models")
    return because(
        math.ceil(workload.calls_in_flight),
        f"Little's law: {_load(agent)} = {workload.calls_in_flight:.15g}",
    )


def calls_in_flight(agent: Agent) -> Because[int]:
    """What the agent is given, over all subtasks."""
    if agent.model is None:
        return because(0, "the agent calls 0 models")
    if agent.model.max_concurrency is not None:
        return because(
            agent.model.max_concurrency, f"declared as model.max_concurrency {agent.model.max_concurrency}"
        )
    wanted = HEADROOM * agent.workload.calls_in_flight
    subtasks = agent.scaling.parallelism_min
    each = min(CALLS_PER_SUBTASK, max(IN_FLIGHT_MIN, math.ceil(wanted / subtasks)))
    reason = (
        f"{_load(agent)} x {HEADROOM} for catching up = {wanted:.15g}, over {subtasks} subtasks with "
        f"{IN_FLIGHT_MIN} to {CALLS_PER_SUBTASK} each"
    )
    limit = agent.model.requests_per_minute
    if limit is None:
        return because(each * subtasks, reason)
    allowed = _allowed_in_flight(agent, limit)
    return because(
        min(each, -(-allowed // subtasks)) * subtasks,
        f"{reason}; the rate limit of {limit} a minute is reached with {allowed} in flight, "
        f"{-(-allowed // subtasks)} each",
    )


def calls_in_flight_max(model: ModelEndpoint, in_flight: int, subtasks: int) -> Because[int]:
    """Each subtask's bound: what a shortage of calls in flight is met with, in the worker itself."""
    if model.max_concurrency is not None:
        return because(
            in_flight // subtasks,
            f"declared as max_concurrency {model.max_concurrency}, over {subtasks} subtasks",
        )
    return because(
        CALLS_PER_SUBTASK,
        f"{CALLS_PER_SUBTASK}, which one subtask's loop and memory carry: reached step by step while runs "
        "wait for the model, as far as its endpoint keeps up",
    )


def fallback_calls_max(fallback: ChatEndpoint, first: int, subtasks: int) -> Because[int]:
    """Each subtask's bound at a fallback."""
    if fallback.max_concurrency is None:
        return because(first, f"the {first} of the model: all of its calls may come")
    return because(
        fallback.max_concurrency // subtasks,
        f"declared as max_concurrency {fallback.max_concurrency}, over {subtasks} subtasks",
    )


def requests_per_minute(model: ModelEndpoint) -> Because[int] | Because[None]:
    """The provider's limit."""
    limit = model.requests_per_minute
    if limit is None:
        return because(None, "the declaration limits 0 providers")
    return because(limit, f"declared as requests_per_minute {limit}")


def tokens_per_minute(model: ChatEndpoint) -> Because[int] | Because[None]:
    """The provider's limit."""
    limit = model.tokens_per_minute
    if limit is None:
        return because(None, "the declaration limits 0 tokens")
    return because(limit, f"declared as model.tokens_per_minute {limit}")


def _allowed_in_flight(agent: Agent, limit: int) -> int:
    """Calls in flight that reach a limit in requests a minute: Little's law the other way round."""
    latency = agent.workload.model_latency
    return math.ceil(limit * latency.milliseconds / MINUTE_MS) if latency else 0


def _load(agent: Agent) -> str:
    workload = agent.workload
    calls = "" if workload.calls_per_event == 1 else f" x {workload.calls_per_event:.15g} calls"
    return f"{workload.events_per_second} events/s{calls} x {workload.model_latency}"
