"""Agents: one Flink job each, with everything that the job is told."""

from __future__ import annotations

import math
from typing import Any

from headrace.environment import names
from headrace.environment.model import SCRIPTED, SHARDS, Agent, Environment
from headrace.plan import recovery
from headrace.plan.because import Because, because, build, mapping, sequence
from headrace.plan.flink import MAX_PARALLELISM, job_checkpoint_options
from headrace.plan.kafka import CLIENT_REQUEST_BYTES, bootstrap_servers
from headrace.plan.limits import limits, model_attempts, model_timeout_ms
from headrace.plan.model import AgentPlan, CheckpointPlan, Ports
from headrace.plan.ports import LOOPBACK
from headrace.plan.topics import journal_partitions
from headrace_agents.spec import (
    AgentJobSpec,
    FeedbackTopics,
    InputTopic,
    JournalSpec,
    KafkaSpec,
    ModelSpec,
    OutputTopics,
    RuntimeSpec,
)

HEADROOM = 3
"""Calls in flight over what the load needs: to catch up after an outage, and for slow answers."""
IN_FLIGHT_MIN, IN_FLIGHT_MAX = 4, 256
"""Per subtask. The upper bound is what one asyncio loop was measured to keep busy."""
TICK_MIN_MS, TICK_MAX_MS = 10, 100
MARK_TO_INTERVAL, MARK_MIN_MS = 4, 5_000
MIB = 1024 * 1024


def agents(environment: Environment, ports: Ports, rhythm: CheckpointPlan) -> Because[tuple[AgentPlan, ...]]:
    """Every agent of the stack."""
    return sequence(_agent(environment, agent, ports, rhythm) for agent in environment.agents)


def _agent(
    environment: Environment, agent: Agent, ports: Ports, rhythm: CheckpointPlan
) -> Because[AgentPlan]:
    api_key = agent.model.api_key if agent.model else None
    in_flight = _in_flight(agent)
    return build(
        AgentPlan,
        name=because(agent.name, "declared"),
        spec=_spec(environment, agent, ports, rhythm, in_flight.value),
        model_calls_in_flight=in_flight,
        api_key_env=because(api_key.env, "declared as model.api_key.env")
        if api_key and api_key.env
        else because(None, "the declaration names 0 variables"),
    )


def _spec(
    environment: Environment, agent: Agent, ports: Ports, rhythm: CheckpointPlan, in_flight: int
) -> Because[AgentJobSpec]:
    subtasks = agent.scaling.parallelism_min
    named = "the agent's name, and what is in it"
    return build(
        AgentJobSpec,
        name=because(agent.name, "declared; ids, topics and transactions are made from it"),
        entry_point=because(agent.entry_point, "declared"),
        inputs=sequence(_input(name) for name in agent.inputs),
        key=because(agent.key, "declared"),
        outputs=build(
            OutputTopics,
            decisions=because(names.decisions_topic(agent.name), named),
            outcomes=because(names.outcomes_topic(agent.name), named),
            dead_letters=because(names.dead_letters_topic(agent.name), named),
            reviews=because(names.reviews_topic(agent.name), named),
            reports=because(names.reports_topic(agent.name), named),
        ),
        feedback=build(
            FeedbackTopics,
            answers=because(names.answers_topic(agent.name), named),
            replays=because(names.replays_topic(agent.name), named),
            control=because(names.control_topic(agent.name), named),
        ),
        journal=_journal(agent, rhythm),
        kafka=_kafka(environment, agent, ports),
        model=_model(agent, ports, in_flight),
        limits=limits(agent),
        runtime=build(RuntimeSpec, tick_ms=_tick_ms(agent)),
        settings=_as_declared(agent.settings),
        shards=because(
            SHARDS,
            (
                f"{SHARDS}: an event costs 0.24 ms of CPU with {SHARDS} shards, 0.67 ms with "
                "720; fixed for the job's life"
            ),
        ),
        parallelism=because(subtasks, f"declared as scaling.parallelism_min {subtasks}"),
        max_parallelism=because(
            MAX_PARALLELISM,
            f"{MAX_PARALLELISM}, the cluster's pipeline.max-parallelism, over the {SHARDS} shards",
        ),
        flink_configuration=job_checkpoint_options(rhythm),
        code=because("", "the plan reads 0 files: the substrate puts the digest of the agent's code here"),
    )


def _journal(agent: Agent, rhythm: CheckpointPlan) -> Because[JournalSpec]:
    every = MARK_TO_INTERVAL * rhythm.interval_ms
    return build(
        JournalSpec,
        topic=because(names.journal_topic(agent.name), "the agent's name, and what is in it"),
        partitions=journal_partitions(agent),
        write_ahead=because(
            agent.journal, "declared, or steps: they have effects; a model may be asked again"
        ),
        mark_interval_ms=because(
            max(MARK_MIN_MS, every),
            f"{MARK_TO_INTERVAL} x the checkpoints' {rhythm.interval_ms} ms, at least {MARK_MIN_MS}: "
            "an idle shard's look costs little, and a restart reads this much of the journal more",
        ),
        client_properties=because({}, "0 more: the local broker is loopback only, without TLS or login"),
    )


def _as_declared(value: Any) -> Because[Any]:
    """The agent's own settings, leaf by leaf."""
    if isinstance(value, dict):
        entries = {key: _as_declared(entry) for key, entry in value.items()}
        return mapping(entries, "0 settings are declared here")
    return because(value, "declared; the agent's class checks it")


def _input(name: str) -> Because[InputTopic]:
    _source, table = name.split(".", 1)
    return build(
        InputTopic,
        topic=because(name, "declared; the topic has the input's name"),
        table=because(table, "the input's name without its source"),
    )


def _kafka(environment: Environment, agent: Agent, ports: Ports) -> Because[KafkaSpec]:
    goal = environment.recovery
    return build(
        KafkaSpec,
        bootstrap_servers=because(bootstrap_servers(ports), f"the local broker, port {ports.kafka}"),
        client_properties=because({}, "0 more: the local broker is loopback only, without TLS or login"),
        delivery=because(agent.delivery, "declared, or exactly-once"),
        transaction_timeout_ms=because(
            recovery.transaction_timeout_ms(goal),
            (
                f"{recovery.outage_text(goal)}, at least "
                f"{recovery.POWER_OFF_MS // 3_600_000} h + the same 90 s: a prepared "
                "transaction outlives a weekend's power-off; the broker allows 60 s more"
            ),
        ),
        max_request_bytes=because(
            CLIENT_REQUEST_BYTES,
            f"{CLIENT_REQUEST_BYTES // MIB} MiB: above every topic's limit, so the topic decides",
        ),
    )


def _model(agent: Agent, ports: Ports, in_flight: int) -> Because[ModelSpec] | Because[None]:
    model = agent.model
    if model is None:
        return because(None, "0 models are declared")
    scripted = model.endpoint == SCRIPTED
    subtasks = agent.scaling.parallelism_min
    return build(
        ModelSpec,
        endpoint=because(
            f"http://{LOOPBACK}:{ports.scripted_model}/v1",
            f"the stack's scripted model, port {ports.scripted_model}",
        )
        if scripted
        else because(model.endpoint, "declared"),
        name=because(model.name, "declared"),
        api_key_file=because(model.api_key.file, "declared as model.api_key.file")
        if model.api_key and model.api_key.file
        else because(None, "the declaration names 0 files"),
        timeout_ms=model_timeout_ms(agent, model),
        max_attempts=model_attempts(model),
        max_concurrency=because(
            in_flight // subtasks, f"{in_flight} calls in flight over {subtasks} subtasks"
        ),
    )


def _in_flight(agent: Agent) -> Because[int]:
    if agent.model is None or agent.workload.model_latency is None:
        return because(0, "the agent calls 0 models")
    subtasks = agent.scaling.parallelism_min
    if agent.model.max_concurrency is not None:
        return because(
            agent.model.max_concurrency, f"declared as model.max_concurrency {agent.model.max_concurrency}"
        )
    rate, latency = agent.workload.events_per_second, agent.workload.model_latency
    needed = HEADROOM * rate * latency.seconds
    each = min(IN_FLIGHT_MAX, max(IN_FLIGHT_MIN, math.ceil(needed / subtasks)))
    return because(
        each * subtasks,
        (
            f"{rate} events/s x {latency} x {HEADROOM} for catching up = "
            f"{needed:g}, over {subtasks} subtasks with "
            f"{IN_FLIGHT_MIN} to {IN_FLIGHT_MAX} each"
        ),
    )


def _tick_ms(agent: Agent) -> Because[int]:
    latency = agent.workload.model_latency
    if latency is None:
        return because(TICK_MIN_MS, f"{TICK_MIN_MS} ms, the shortest, as runs call no model")
    return because(
        max(TICK_MIN_MS, min(TICK_MAX_MS, latency.milliseconds // 10)),
        f"a tenth of model_latency {latency}, kept between {TICK_MIN_MS} and {TICK_MAX_MS} ms",
    )
