"""Bounds of an agent's runs: time, bytes, inbox."""

from __future__ import annotations

import math

from headrace.environment.model import Agent, ChatEndpoint, Embedding, ModelEndpoint
from headrace.environment.units import KIB, MIB
from headrace.plan.because import Because, because, build
from headrace_agents.spec import Limits

USUAL_EVENT_BYTES = MIB
MEMORY_HEADROOM = 16
MEMORY_MIN_BYTES, MEMORY_MAX_BYTES = 64 * KIB, 8 * MIB
INBOX_SECONDS = 30
INBOX_MIN_EVENTS = 500
HARD_TO_SOFT = 4
INBOX_BYTES = 256 * MIB
TIMEOUT_TO_LATENCY = 20
TIMEOUT_MIN_MS, TIMEOUT_MAX_MS = 10_000, 300_000
USUAL_ATTEMPTS = 4
USUAL_ANSWER_BYTES, USUAL_VECTORS_BYTES = 4 * MIB, 256 * MIB
DEADLINE_MIN_MS = 60_000
RUN_HEADROOM = 2


def limits(agent: Agent) -> Because[Limits]:
    """What was declared, and the rest worked out from the workload."""
    soft = _inbox_soft(agent)
    return build(
        Limits,
        run_deadline_ms=run_deadline_ms(agent),
        max_event_bytes=_max_event_bytes(agent),
        max_memory_bytes=_max_memory_bytes(agent),
        inbox_soft_events=soft,
        inbox_hard_events=_inbox_hard(agent, soft.value),
        inbox_hard_bytes=_inbox_hard_bytes(agent),
        memory_expiry_ms=_memory_expiry_ms(agent),
    )


def run_deadline_ms(agent: Agent) -> Because[int]:
    """From the start of a run to its outcome."""
    if agent.limits.run_deadline is not None:
        declared = agent.limits.run_deadline
        return because(declared.milliseconds, f"declared as limits.run_deadline {declared}")
    if agent.model is None:
        return because(DEADLINE_MIN_MS, f"{DEADLINE_MIN_MS} ms, as the agent calls no model")
    chain = [(model_attempts(each).value, model_timeout_ms(agent, each).value) for each in agent.model.chain]
    attempts_ms = sum(attempts * timeout for attempts, timeout in chain)
    tried = " + ".join(f"{attempts} attempts x {timeout} ms" for attempts, timeout in chain)
    if len(chain) > 1:
        tried = f"({tried})"
    usual_ms = _usual_run_ms(agent)
    return because(
        max(DEADLINE_MIN_MS, attempts_ms * 3 // 2, RUN_HEADROOM * usual_ms),
        f"{tried} x 1.5 for the waits between them, at least {DEADLINE_MIN_MS} ms "
        f"and {RUN_HEADROOM} x the {usual_ms} ms of a usual run",
    )


def model_timeout_ms(agent: Agent, model: ModelEndpoint) -> Because[int]:
    """Of one attempt of a model call."""
    if model.timeout is not None:
        return because(model.timeout.milliseconds, f"declared as timeout {model.timeout}")
    latency = agent.workload.model_latency.milliseconds if agent.workload.model_latency else 0
    usual = max(2 * latency, min(TIMEOUT_MAX_MS, max(TIMEOUT_MIN_MS, TIMEOUT_TO_LATENCY * latency)))
    deadline = agent.limits.run_deadline
    if deadline is not None and deadline.milliseconds < usual:
        return because(
            deadline.milliseconds,
            f"limits.run_deadline {deadline}, as {TIMEOUT_TO_LATENCY} x {latency} ms is over it",
        )
    return because(
        usual,
        f"{TIMEOUT_TO_LATENCY} x model_latency {latency} ms, kept between {TIMEOUT_MIN_MS} "
        f"and {TIMEOUT_MAX_MS} ms but never under 2 x {latency} ms",
    )


def model_attempts(model: ModelEndpoint) -> Because[int]:
    """Attempts of one model call."""
    if model.max_attempts is not None:
        return because(model.max_attempts, f"declared as max_attempts {model.max_attempts}")
    return because(USUAL_ATTEMPTS, f"{USUAL_ATTEMPTS}: 3 waits outlast a 429 or a restart of the endpoint")


def max_answer_bytes(model: ModelEndpoint) -> Because[int]:
    """Of one answer."""
    if model.max_answer_bytes is not None:
        return because(model.max_answer_bytes, f"declared as max_answer_bytes {model.max_answer_bytes}")
    if isinstance(model, Embedding):
        return because(
            USUAL_VECTORS_BYTES,
            f"{USUAL_VECTORS_BYTES // MIB} MiB: 2048 vectors, the most of a request, of 4096 numbers, "
            "32 bytes each in JSON",
        )
    return because(
        USUAL_ANSWER_BYTES,
        f"{USUAL_ANSWER_BYTES // MIB} MiB: more than any model's longest answer, and a decision with all of"
        " it fits its topic",
    )


def hedge_after_ms(model: ChatEndpoint) -> Because[int] | Because[None]:
    """When a second attempt is made beside the first."""
    if model.hedge_after is None:
        return because(None, "the declaration hedges 0 calls")
    return because(model.hedge_after.milliseconds, f"declared as hedge_after {model.hedge_after}")


def _usual_run_ms(agent: Agent) -> int:
    """A run's calls, one after the other, each as long as usual."""
    latency = agent.workload.model_latency
    return math.ceil(agent.workload.calls_per_event * latency.milliseconds) if latency else 0


def _max_event_bytes(agent: Agent) -> Because[int]:
    if agent.limits.max_event_bytes is not None:
        return because(
            agent.limits.max_event_bytes, f"declared as limits.max_event_bytes {agent.limits.max_event_bytes}"
        )
    room = agent.limits.inbox_hard_bytes
    if room is not None and room < USUAL_EVENT_BYTES:
        return because(room, f"the declared inbox_hard_bytes {room}: 1 event has to fit")
    return because(
        USUAL_EVENT_BYTES, f"{USUAL_EVENT_BYTES // MIB} MiB: more is seldom a row and never fits a prompt"
    )


def _max_memory_bytes(agent: Agent) -> Because[int]:
    if agent.limits.max_memory_bytes is not None:
        return because(
            agent.limits.max_memory_bytes,
            f"declared as limits.max_memory_bytes {agent.limits.max_memory_bytes}",
        )
    usual = agent.workload.state_bytes_per_key
    return because(
        max(usual, min(MEMORY_MAX_BYTES, max(MEMORY_MIN_BYTES, MEMORY_HEADROOM * usual))),
        (
            f"{MEMORY_HEADROOM} x state_bytes_per_key {usual}, kept between "
            f"{MEMORY_MIN_BYTES} and {MEMORY_MAX_BYTES} "
            "but never under the declared size"
        ),
    )


def _inbox_soft(agent: Agent) -> Because[int]:
    declared, hard = agent.limits.inbox_soft_events, agent.limits.inbox_hard_events
    if declared is not None:
        return because(declared, f"declared as limits.inbox_soft_events {declared}")
    rate, subtasks = agent.workload.events_per_second, agent.scaling.parallelism_min
    under_way = RUN_HEADROOM * math.ceil(agent.workload.calls_in_flight / subtasks)
    usual = max(INBOX_MIN_EVENTS, -(-rate * INBOX_SECONDS // subtasks), under_way)
    if hard is not None and hard < usual:
        return because(
            hard, f"the declared inbox_hard_events {hard}, as {INBOX_SECONDS} s of load are {usual} events"
        )
    return because(
        usual,
        f"{INBOX_SECONDS} s of {rate} events/s over {subtasks} subtasks, at least {INBOX_MIN_EVENTS} and "
        f"{under_way}, {RUN_HEADROOM} x the runs under way",
    )


def _inbox_hard(agent: Agent, soft: int) -> Because[int]:
    declared = agent.limits.inbox_hard_events
    if declared is not None:
        return because(declared, f"declared as limits.inbox_hard_events {declared}")
    return because(HARD_TO_SOFT * soft, f"{HARD_TO_SOFT} x the soft bound of {soft}")


def _inbox_hard_bytes(agent: Agent) -> Because[int]:
    declared = agent.limits.inbox_hard_bytes
    if declared is not None:
        return because(declared, f"declared as limits.inbox_hard_bytes {declared}")
    return because(
        INBOX_BYTES,
        f"{INBOX_BYTES // MIB} MiB of RocksDB: what a checkpoint uploads of it takes seconds, not minutes",
    )


def _memory_expiry_ms(agent: Agent) -> Because[int] | Because[None]:
    declared = agent.limits.memory_expiry
    if declared is None:
        return because(None, "the declaration gives memory 0 bounds in time")
    return because(declared.milliseconds, f"declared as limits.memory_expiry {declared}")
