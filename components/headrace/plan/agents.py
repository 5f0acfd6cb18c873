"""Agents: one Flink job each, with everything that the job is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headrace.environment import names
from headrace.environment.model import Agent, ChatEndpoint, Environment, Model, ModelEndpoint
from headrace.environment.problem import dotted
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
    fallback_calls_max,
    requests_per_minute,
    tokens_per_minute,
)
from headrace.plan.failures import on_failure
from headrace.plan.kafka import CLIENT_REQUEST_BYTES
from headrace.plan.limits import hedge_after_ms, limits, max_answer_bytes, model_attempts, model_timeout_ms
from headrace.plan.model import AgentPlan, CheckpointPlan
from headrace.plan.place import Place
from headrace.plan.scaling import NORMAL_LAG_S, UTILISATION_TARGET
from headrace.plan.slots import max_parallelism, shards
from headrace.plan.spending import budget, max_output_tokens, prices, spending
from headrace.plan.state import planned_state_bytes
from headrace.plan.topics import journal_partitions
from headrace_agents.spec import (
    AgentJobSpec,
    CacheSpec,
    ChatEndpointSpec,
    EmbeddingSpec,
    FeedbackTopics,
    InputTopic,
    JournalSpec,
    KafkaSpec,
    ModelSpec,
    OutputTopics,
    RuntimeSpec,
    TracingSpec,
)

TICK_MIN_MS, TICK_MAX_MS = 10, 100
MARK_TO_INTERVAL, MARK_MIN_MS = 4, 5 * SECOND_MS


def agents(environment: Environment, place: Place, rhythm: CheckpointPlan) -> Because[tuple[AgentPlan, ...]]:
    """Every agent of the stack."""
    return sequence(_agent(environment, agent, place, rhythm) for agent in environment.agents)


def agents_removed(environment: Environment) -> Because[tuple[str, ...]]:
    removed = environment.agents_removed
    return because(removed, f"{len(removed)} are declared: no other agent goes without a word")


def _agent(
    environment: Environment, agent: Agent, place: Place, rhythm: CheckpointPlan
) -> Because[AgentPlan]:
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
        healthy_for_ms=because(
            agent.upgrade.healthy_for.milliseconds,
            f"declared as upgrade.healthy_for {agent.upgrade.healthy_for}",
        ),
        drains_runs=because(agent.upgrade.runs == "drain", f"declared as upgrade.runs {agent.upgrade.runs}"),
        key_variables=mapping(
            {path: because(variable, f"declared as {path}.api_key.env") for path, variable in keys(agent)},
            "0 keys are declared for its models",
        ),
    )


def keys(agent: Agent) -> Iterator[tuple[str, str]]:
    """Paths of models, in the declaration and in the specification, and the variables of their keys."""
    for path, model in agent.model_endpoints.items():
        if model.api_key and model.api_key.env:
            yield dotted(path), model.api_key.env


def _spec(
    environment: Environment, agent: Agent, place: Place, rhythm: CheckpointPlan, in_flight: int
) -> Because[AgentJobSpec]:
    subtasks = agent.scaling.parallelism_min
    named = "the agent's name, and what is in it"
    return build(
        AgentJobSpec,
        name=because(agent.name, "declared; ids, topics and transactions are made from it"),
        entry_point=because(agent.entry_point, "declared"),
        inputs=sequence(_input(environment, name) for name in agent.inputs),
        key=because(agent.key, "declared"),
        backfilled=because(agent.backfilled, "declared, or decide: who backfills wants the rows decided"),
        outputs=build(
            OutputTopics,
            decisions=because(names.decisions_topic(agent.name), named),
            outcomes=because(names.outcomes_topic(agent.name), named),
            dead_letters=because(names.dead_letters_topic(agent.name), named),
            reviews=because(names.reviews_topic(agent.name), named),
            reports=because(names.reports_topic(agent.name), named),
            runs=because(names.runs_topic(agent.name), named),
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
        embedding=_embedding(agent, place),
        spending=spending(agent),
        limits=limits(agent),
        runtime=build(
            RuntimeSpec,
            tick_ms=_tick_ms(agent),
            busy_share=because(
                UTILISATION_TARGET, f"{UTILISATION_TARGET:.0%} of a core, as where more subtasks are wanted"
            ),
            run_log=because(agent.run_log, "declared, or steps: no prompt and no memory is in them"),
        ),
        tracing=_tracing(environment, place),
        settings=_as_declared(agent.settings),
        shards=shards(),
        parallelism=because(subtasks, f"declared as scaling.parallelism_min {subtasks}"),
        max_parallelism=max_parallelism(),
        flink_configuration=job_checkpoint_options(rhythm),
        code=because("", "the plan reads 0 files: the substrate puts the digest of the agent's code here"),
    )


def _tracing(environment: Environment, place: Place) -> Because[TracingSpec] | Because[None]:
    tracing = environment.tracing
    if tracing is None:
        return because(None, "tracing is not declared: 0 traces leave the stack")
    return build(
        TracingSpec,
        endpoint=because(tracing.endpoint, "declared") if tracing.endpoint else place.collector,
        share=because(tracing.share, f"declared, or 1: {tracing.share:.0%} of the runs"),
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


def _input(environment: Environment, name: str) -> Because[InputTopic]:
    of, table = name.split(".", 1)
    (source,) = (each for each in environment.sources if each.name == of)
    return build(
        InputTopic,
        topic=because(name, "declared; the topic has the input's name"),
        table=because(table, "the input's name without its source"),
        on_misfit=because(source.on_schema_change, "its source's on_schema_change, or dead_letter"),
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
    subtasks = agent.scaling.parallelism_min
    most = calls_in_flight_max(model, in_flight, subtasks)
    return build(
        ModelSpec,
        **_chat_endpoint(agent, model, place),
        concurrency=because(
            in_flight // subtasks, f"{in_flight} calls in flight over {subtasks} subtasks, to start with"
        ),
        max_concurrency=most,
        fallbacks=sequence(
            build(
                ChatEndpointSpec,
                **_chat_endpoint(agent, each, place),
                max_concurrency=fallback_calls_max(each, most.value, subtasks),
            )
            for each in model.fallbacks
        )
        if model.fallbacks
        else because((), "0 fallbacks are declared"),
        on_failure=on_failure(model),
        cache=_cache(model),
    )


def _cache(model: Model) -> Because[CacheSpec] | Because[None]:
    if model.cache is None:
        return because(None, "the declaration keeps 0 answers")
    return build(
        CacheSpec,
        entries=because(model.cache.entries, f"declared as model.cache.entries {model.cache.entries}"),
        expiry_ms=because(
            model.cache.expiry.milliseconds, f"declared as model.cache.expiry {model.cache.expiry}"
        ),
    )


def _embedding(agent: Agent, place: Place) -> Because[EmbeddingSpec] | Because[None]:
    embedding = agent.embedding
    if embedding is None:
        return because(None, "0 embedding models are declared")
    subtasks = agent.scaling.parallelism_min
    return build(
        EmbeddingSpec,
        **_endpoint(agent, embedding, place),
        dimensions=because(embedding.dimensions, "declared, or as many as the model gives"),
        max_concurrency=calls_in_flight_max(embedding, embedding.max_concurrency or 0, subtasks),
    )


def _chat_endpoint(agent: Agent, model: ChatEndpoint, place: Place) -> dict[str, Because[Any]]:
    """What a model's own endpoint and its fallbacks have alike."""
    return {
        **_endpoint(agent, model, place),
        "hedge_after_ms": hedge_after_ms(model),
        "max_output_tokens": max_output_tokens(model),
        "tokens_per_minute": tokens_per_minute(model),
        "budget": budget(model),
    }


def _endpoint(agent: Agent, model: ModelEndpoint, place: Place) -> dict[str, Because[Any]]:
    """What is the same for chat models and embedding models."""
    scripted = model.endpoint == SCRIPTED
    key = model.api_key
    return {
        "provider": because(model.provider, "declared, or openai"),
        "endpoint": place.scripted_model if scripted else because(model.endpoint, "declared"),
        "region": because(model.region, "declared: a model on Bedrock has one"),
        "name": because(model.name, "declared"),
        "api_key_file": because(key.file, "declared as api_key.file")
        if key and key.file
        else because(None, "the declaration names 0 files"),
        "timeout_ms": model_timeout_ms(agent, model),
        "max_attempts": model_attempts(model),
        "requests_per_minute": requests_per_minute(model),
        "max_answer_bytes": max_answer_bytes(model),
        "prices": prices(model),
    }


def _tick_ms(agent: Agent) -> Because[int]:
    latency = agent.workload.model_latency
    if latency is None:
        return because(TICK_MIN_MS, f"{TICK_MIN_MS} ms, the shortest, as runs call no model")
    return because(
        max(TICK_MIN_MS, min(TICK_MAX_MS, latency.milliseconds // 10)),
        f"a tenth of model_latency {latency}, kept between {TICK_MIN_MS} and {TICK_MAX_MS} ms",
    )
