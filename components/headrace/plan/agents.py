"""Agents: one Flink job each, with everything that the job is told."""

from __future__ import annotations

from typing import Any

from headrace.environment import names
from headrace.environment.model import Agent, Environment
from headrace.environment.types import SCRIPTED
from headrace.environment.units import HOUR_MS, MIB, SECOND_MS
from headrace.plan import recovery
from headrace.plan.because import Because, because, build, mapping, sequence
from headrace.plan.checkpoints import job_checkpoint_options
from headrace.plan.concurrency import (
    calls_in_flight,
    calls_in_flight_max,
    calls_needed,
    calls_per_second,
    requests_per_minute,
    tokens_per_minute,
)
from headrace.plan.kafka import CLIENT_REQUEST_BYTES
from headrace.plan.limits import limits, model_attempts, model_timeout_ms
from headrace.plan.model import AgentPlan, CheckpointPlan
from headrace.plan.place import Place
from headrace.plan.scaling import NORMAL_LAG_S, UTILISATION_TARGET
from headrace.plan.slots import max_parallelism, shards
from headrace.plan.state import planned_state_bytes
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

TICK_MIN_MS, TICK_MAX_MS = 10, 100
MARK_TO_INTERVAL, MARK_MIN_MS = 4, 5 * SECOND_MS


def agents(environment: Environment, place: Place, rhythm: CheckpointPlan) -> Because[tuple[AgentPlan, ...]]:
    """Every agent of the stack."""
    return sequence(_agent(environment, agent, place, rhythm) for agent in environment.agents)


def _agent(
    environment: Environment, agent: Agent, place: Place, rhythm: CheckpointPlan
) -> Because[AgentPlan]:
    api_key = agent.model.api_key if agent.model else None
    in_flight = calls_in_flight(agent)
    return build(
        AgentPlan,
        name=because(agent.name, "declared"),
        spec=_spec(environment, agent, place, rhythm, in_flight.value),
        parallelism_max=because(
            agent.scaling.parallelism_max,
            f"declared as scaling.parallelism_max {agent.scaling.parallelism_max}",
        ),
        normal_lag_events=because(
            NORMAL_LAG_S * agent.workload.events_per_second,
            f"{NORMAL_LAG_S} s of the declared {agent.workload.events_per_second} events/s",
        ),
        state_bytes=planned_state_bytes(agent),
        model_calls_per_second=calls_per_second(agent),
        model_calls_needed=calls_needed(agent),
        model_calls_in_flight=in_flight,
        api_key_env=because(api_key.env, "declared as model.api_key.env")
        if api_key and api_key.env
        else because(None, "the declaration names 0 variables"),
    )


def _spec(
    environment: Environment, agent: Agent, place: Place, rhythm: CheckpointPlan, in_flight: int
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
        journal=_journal(agent, rhythm, place),
        kafka=_kafka(environment, agent, place),
        model=_model(agent, place, in_flight),
        limits=limits(agent),
        runtime=build(
            RuntimeSpec,
            tick_ms=_tick_ms(agent),
            busy_share=because(
                UTILISATION_TARGET, f"{UTILISATION_TARGET:.0%} of a core, as where more subtasks are wanted"
            ),
        ),
        settings=_as_declared(agent.settings),
        shards=shards(),
        parallelism=because(subtasks, f"declared as scaling.parallelism_min {subtasks}"),
        max_parallelism=max_parallelism(),
        flink_configuration=job_checkpoint_options(rhythm),
        code=because("", "the plan reads 0 files: the substrate puts the digest of the agent's code here"),
    )


def _journal(agent: Agent, rhythm: CheckpointPlan, place: Place) -> Because[JournalSpec]:
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
        client_properties=place.journal_client,
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


def _kafka(environment: Environment, agent: Agent, place: Place) -> Because[KafkaSpec]:
    goal = environment.recovery
    return build(
        KafkaSpec,
        bootstrap_servers=place.brokers,
        client_properties=place.flink_client,
        delivery=because(agent.delivery, "declared, or exactly-once"),
        transaction_timeout_ms=because(
            recovery.transaction_timeout_ms(goal),
            (
                f"{recovery.outage_text(goal)}, at least "
                f"{recovery.POWER_OFF_MS // HOUR_MS} h + the same {goal.max_recovery}: a prepared "
                f"transaction outlives a weekend's power-off; the broker allows {recovery.MARGIN_MS} ms more"
            ),
        ),
        max_request_bytes=because(
            CLIENT_REQUEST_BYTES,
            f"{CLIENT_REQUEST_BYTES // MIB} MiB: above every topic's limit, so the topic decides",
        ),
    )


def _model(agent: Agent, place: Place, in_flight: int) -> Because[ModelSpec] | Because[None]:
    model = agent.model
    if model is None:
        return because(None, "0 models are declared")
    scripted = model.endpoint == SCRIPTED
    subtasks = agent.scaling.parallelism_min
    return build(
        ModelSpec,
        endpoint=place.scripted_model if scripted else because(model.endpoint, "declared"),
        name=because(model.name, "declared"),
        api_key_file=because(model.api_key.file, "declared as model.api_key.file")
        if model.api_key and model.api_key.file
        else because(None, "the declaration names 0 files"),
        timeout_ms=model_timeout_ms(agent, model),
        max_attempts=model_attempts(model),
        concurrency=because(
            in_flight // subtasks, f"{in_flight} calls in flight over {subtasks} subtasks, to start with"
        ),
        max_concurrency=calls_in_flight_max(model, in_flight, subtasks),
        requests_per_minute=requests_per_minute(model),
        tokens_per_minute=tokens_per_minute(model),
    )


def _tick_ms(agent: Agent) -> Because[int]:
    latency = agent.workload.model_latency
    if latency is None:
        return because(TICK_MIN_MS, f"{TICK_MIN_MS} ms, the shortest, as runs call no model")
    return because(
        max(TICK_MIN_MS, min(TICK_MAX_MS, latency.milliseconds // 10)),
        f"a tenth of model_latency {latency}, kept between {TICK_MIN_MS} and {TICK_MAX_MS} ms",
    )
