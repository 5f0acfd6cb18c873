"""Bounds and objectives that can't both hold, each refusal with both and their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from headrace.environment.parts import Parts
from headrace.environment.problem import Problem
from headrace_agents.consequences import KINDS, MAY_MEND


def parallelism_min_over_max(parts: Parts) -> Iterator[Problem]:
    """`parallelism_min` is at most `parallelism_max`."""
    for agent in parts.agents:
        scaling = agent.value.scaling
        if scaling.parallelism_min > scaling.parallelism_max:
            yield agent.problem(
                "scaling",
                "parallelism_min",
                given=str(scaling.parallelism_min),
                allowed=f"at most parallelism_max, {scaling.parallelism_max}",
            )


def interval_over_max_replay(parts: Parts) -> Iterator[Problem]:
    """`checkpoints.interval` is at most `recovery.max_replay`, or a failure repeats more than that."""
    if parts.recovery is None or parts.checkpoints is None:
        return
    interval, max_replay = parts.checkpoints.value.interval, parts.recovery.value.max_replay
    if interval is not None and interval > max_replay:
        yield parts.checkpoints.problem(
            "interval", given=str(interval), allowed=f"at most recovery.max_replay, {max_replay}"
        )


def model_without_latency(parts: Parts) -> Iterator[Problem]:
    """An agent with a model declares `model_latency`: calls in flight are worked out from it."""
    for agent, _model in parts.models:
        if agent.value.workload.model_latency is None:
            yield agent.problem(
                "workload",
                "model_latency",
                given="nothing",
                allowed="required with a model: a duration, `200ms`",
            )


def latency_without_model(parts: Parts) -> Iterator[Problem]:
    """An agent without a model declares no `model_latency`."""
    for agent in parts.agents:
        latency = agent.value.workload.model_latency
        if agent.value.model is None and latency is not None:
            yield agent.problem(
                "workload",
                "model_latency",
                given=str(latency),
                allowed="left out for an agent without a model",
            )


def calls_without_model(parts: Parts) -> Iterator[Problem]:
    """An agent without a model declares no `model_calls_per_event`."""
    for agent in parts.agents:
        calls = agent.value.workload.model_calls_per_event
        if agent.value.model is None and calls is not None:
            yield agent.problem(
                "workload",
                "model_calls_per_event",
                given=f"{calls:g}",
                allowed="left out for an agent without a model",
            )


def latency_over_deadline(parts: Parts) -> Iterator[Problem]:
    """`model_latency` is under `limits.run_deadline`, or every event becomes a dead letter."""
    for agent in parts.agents:
        latency, deadline = agent.value.workload.model_latency, agent.value.limits.run_deadline
        if latency is not None and deadline is not None and latency >= deadline:
            yield agent.problem(
                "workload",
                "model_latency",
                given=str(latency),
                allowed=f"less than limits.run_deadline, {deadline}: or every event is a dead letter",
            )


def timeout_outside_latency_and_deadline(parts: Parts) -> Iterator[Problem]:
    """`timeout` of a model or fallback is over `model_latency` and at most `limits.run_deadline`."""
    for agent, model in parts.chat_endpoints:
        timeout, latency = model.value.timeout, agent.value.workload.model_latency
        deadline = agent.value.limits.run_deadline
        if timeout is None:
            continue
        if latency is not None and timeout <= latency:
            yield model.problem(
                "timeout", given=str(timeout), allowed=f"more than workload.model_latency, {latency}"
            )
        if deadline is not None and timeout > deadline:
            yield model.problem(
                "timeout", given=str(timeout), allowed=f"at most limits.run_deadline, {deadline}"
            )


def concurrency_below_parallelism(parts: Parts) -> Iterator[Problem]:
    """`max_concurrency` of each model is at least `parallelism_min`: a call for each subtask."""
    for agent, model in parts.model_endpoints:
        calls, subtasks = model.value.max_concurrency, agent.value.scaling.parallelism_min
        if calls is not None and calls < subtasks:
            yield model.problem(
                "max_concurrency",
                given=str(calls),
                allowed=f"at least scaling.parallelism_min, {subtasks}: one call for each subtask",
            )


def inbox_soft_over_hard(parts: Parts) -> Iterator[Problem]:
    """`inbox_soft_events` is at most `inbox_hard_events`."""
    for agent in parts.agents:
        soft, hard = agent.value.limits.inbox_soft_events, agent.value.limits.inbox_hard_events
        if soft is not None and hard is not None and soft > hard:
            yield agent.problem(
                "limits", "inbox_soft_events", given=str(soft), allowed=f"at most inbox_hard_events, {hard}"
            )


def state_per_key_over_limit(parts: Parts) -> Iterator[Problem]:
    """`state_bytes_per_key` is at most `limits.max_memory_bytes`, or usual memory is over its bound."""
    for agent in parts.agents:
        declared, limit = agent.value.workload.state_bytes_per_key, agent.value.limits.max_memory_bytes
        if limit is not None and declared > limit:
            yield agent.problem(
                "workload",
                "state_bytes_per_key",
                given=str(declared),
                allowed=f"at most limits.max_memory_bytes, {limit}",
            )


def calls_over_deadline(parts: Parts) -> Iterator[Problem]:
    """A run's calls, one after the other, end before `limits.run_deadline`."""
    for agent in parts.agents:
        workload, deadline = agent.value.workload, agent.value.limits.run_deadline
        latency, calls = workload.model_latency, workload.calls_per_event
        if latency is None or deadline is None or latency >= deadline:
            continue
        if calls * latency.seconds >= deadline.seconds:
            yield agent.problem(
                "workload",
                "model_calls_per_event",
                given=f"{calls:g}, which take {calls * latency.seconds:.15g} s with a model_latency "
                f"of {latency}",
                allowed=f"less than limits.run_deadline, {deadline}, in all",
            )


def inbox_bytes_below_one_event(parts: Parts) -> Iterator[Problem]:
    """`inbox_hard_bytes` holds at least one event of `max_event_bytes`, or the operator waits for ever."""
    for agent in parts.agents:
        room, event = agent.value.limits.inbox_hard_bytes, agent.value.limits.max_event_bytes
        if room is not None and event is not None and room < event:
            yield agent.problem(
                "limits", "inbox_hard_bytes", given=str(room), allowed=f"at least max_event_bytes, {event}"
            )


def memory_expiry_within_deadline(parts: Parts) -> Iterator[Problem]:
    """`memory_expiry` is over `run_deadline`, or memory is forgotten while a run goes on."""
    for agent in parts.agents:
        expiry, deadline = agent.value.limits.memory_expiry, agent.value.limits.run_deadline
        if expiry is not None and deadline is not None and expiry <= deadline:
            yield agent.problem(
                "limits", "memory_expiry", given=str(expiry), allowed=f"more than run_deadline, {deadline}"
            )


def fall_back_without_fallbacks(parts: Parts) -> Iterator[Problem]:
    """`on_failure` says `fall_back` only where `fallbacks` has somewhere to go."""
    for _agent, model in parts.models:
        for kind in KINDS:
            if getattr(model.value.on_failure, kind) == "fall_back" and not model.value.fallbacks:
                yield model.problem(
                    "on_failure",
                    kind,
                    given="`fall_back` with 0 fallbacks",
                    allowed="with 1 or more model.fallbacks",
                )


def wait_for_what_stays_as_it_is(parts: Parts) -> Iterator[Problem]:
    """`on_failure` says `wait` only for what another attempt may mend."""
    for _agent, model in parts.models:
        for kind in KINDS:
            if getattr(model.value.on_failure, kind) == "wait" and kind not in MAY_MEND:
                why = f"another attempt at the same endpoint would be {kind} again"
                if kind == "budget":
                    why = "calls wait for the next day with budget.at_limit `wait`, and then they do not fail"
                yield model.problem(
                    "on_failure",
                    kind,
                    given="`wait`",
                    allowed=f"`fall_back`, `dead_letter` or `escalate`: {why}",
                )


def hedge_that_is_never_made(parts: Parts) -> Iterator[Problem]:
    """`hedge_after` is under `timeout` and `run_deadline`, and `max_attempts` has a second one for it."""
    for agent, endpoint in parts.chat_endpoints:
        after, attempts = endpoint.value.hedge_after, endpoint.value.max_attempts
        if after is None:
            continue
        bounds = {"timeout": endpoint.value.timeout, "limits.run_deadline": agent.value.limits.run_deadline}
        for name, bound in bounds.items():
            if bound is not None and after >= bound:
                yield endpoint.problem("hedge_after", given=str(after), allowed=f"less than {name}, {bound}")
        if attempts == 1:
            yield endpoint.problem(
                "hedge_after",
                given=f"{after} with max_attempts 1",
                allowed="with max_attempts of 2 or more: a hedge is an attempt",
            )


RULES: tuple[Callable[[Parts], Iterator[Problem]], ...] = (
    parallelism_min_over_max,
    interval_over_max_replay,
    model_without_latency,
    latency_without_model,
    calls_without_model,
    latency_over_deadline,
    calls_over_deadline,
    timeout_outside_latency_and_deadline,
    concurrency_below_parallelism,
    inbox_soft_over_hard,
    inbox_bytes_below_one_event,
    state_per_key_over_limit,
    memory_expiry_within_deadline,
    fall_back_without_fallbacks,
    wait_for_what_stays_as_it_is,
    hedge_that_is_never_made,
)
