"""The plan of any environment: complete, reasoned, within its bounds."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from headrace.environment import Environment, load_environment
from headrace.environment.model import MAX_EVENT_BYTES, OnFailure
from headrace.environment.substrates import PORTS_PER_STACK
from headrace.plan import StackPlan, plan
from headrace.plan.leaves import leaves
from headrace.plan.model import AgentPlan
from headrace_agents.consequences import KINDS
from headrace_agents.records import LARGEST_RECORD_BYTES
from headrace_agents.spec import CacheSpec
from tests.unit.environment.declarations import SHIPPED, environments, parsed, shipped

any_environment = given(environments())
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def local() -> StackPlan:
    return plan(load_environment(SHIPPED))


def all_ports(made: StackPlan) -> list[int]:
    values = made.ports.model_dump().values()
    return list(itertools.chain.from_iterable(v if isinstance(v, tuple) else (v,) for v in values))


@quick
@any_environment
def test_every_leaf_has_a_reason_and_every_reason_a_leaf(environment: Environment) -> None:
    made = plan(environment)
    found = {leaf.path: leaf.reason for leaf in leaves(made)}
    assert found == made.reasons
    for path, reason in found.items():
        assert len(reason) >= len("declared"), path
        assert "\n" not in reason, path
        assert "{" not in reason, path


@quick
@any_environment
def test_the_same_environment_gives_the_same_plan(environment: Environment) -> None:
    assert plan(environment).model_dump_json() == plan(environment).model_dump_json()


@quick
@any_environment
def test_a_plan_survives_json(environment: Environment) -> None:
    made = plan(environment)
    assert StackPlan.model_validate_json(made.model_dump_json()) == made


@quick
@any_environment
def test_ports_are_unique_contiguous_and_within_the_stacks_range(environment: Environment) -> None:
    base = environment.local.port_base
    used = sorted(all_ports(plan(environment)))
    assert used == list(range(base, base + len(used)))
    assert len(used) <= PORTS_PER_STACK
    assert used[-1] <= 65535


@quick
@any_environment
def test_memory_adds_up_by_flinks_formulas(environment: Environment) -> None:
    memory = plan(environment).flink.taskmanager
    flink = (
        memory.framework_heap_mib
        + memory.framework_offheap_mib
        + memory.task_heap_mib
        + memory.network_mib
        + memory.managed_mib
    )
    assert flink + memory.metaspace_mib + memory.jvm_overhead_mib == memory.process_mib
    assert 192 <= memory.jvm_overhead_mib <= 1024
    assert memory.jvm_overhead_mib in (
        192,
        1024,
    ) or memory.jvm_overhead_mib * 10 - memory.process_mib in range(10)
    assert memory.network_mib >= 64


@quick
@any_environment
def test_every_agent_fits_when_a_taskmanager_is_lost(environment: Environment) -> None:
    made = plan(environment)
    left = max(1, made.flink.taskmanager.count - 1)
    assert made.flink.taskmanager.slots * left >= sum(agent.spec.parallelism for agent in made.agents)


@quick
@any_environment
def test_checkpoints_are_within_the_objectives(environment: Environment) -> None:
    rhythm = plan(environment).flink.checkpoints
    assert 200 <= rhythm.interval_ms <= environment.recovery.max_replay.milliseconds
    assert rhythm.min_pause_ms < rhythm.interval_ms < rhythm.timeout_ms
    assert rhythm.tolerable_failures * rhythm.interval_ms >= environment.recovery.max_outage.milliseconds


@quick
@any_environment
def test_transactions_outlive_the_worst_outage_and_the_broker_allows_them(environment: Environment) -> None:
    made = plan(environment)
    allowed = int(made.kafka.settings["transaction.max.timeout.ms"])
    known = int(made.kafka.settings["transactional.id.expiration.ms"])
    assert allowed < known < 2**31
    for agent in made.agents:
        timeout = agent.spec.kafka.transaction_timeout_ms
        assert environment.recovery.max_outage.milliseconds + 90_000 <= timeout < allowed


@quick
@any_environment
def test_what_a_killed_connect_worker_left_open_ends_within_the_objective(environment: Environment) -> None:
    for source in plan(environment).sources:
        timeout = int(source.connector_config["producer.override.transaction.timeout.ms"])
        assert timeout < environment.recovery.max_recovery.milliseconds


@quick
@any_environment
def test_sizes_of_records_grow_on_their_way(environment: Environment) -> None:
    made = plan(environment)
    limit = {topic.name: int(topic.config.get("max.message.bytes", 1048588)) for topic in made.topics}
    assert int(made.kafka.settings["message.max.bytes"]) >= max(limit.values())
    for agent in made.agents:
        spec = agent.spec
        widest = max(limit[given.topic] for given in spec.inputs)
        assert spec.limits.max_event_bytes <= widest < limit[spec.outputs.dead_letters]
        assert limit[spec.outputs.dead_letters] < spec.kafka.max_request_bytes
        assert MAX_EVENT_BYTES < LARGEST_RECORD_BYTES
        for topic in (spec.journal.topic, spec.outputs.decisions, spec.outputs.reviews):
            assert limit[topic] > LARGEST_RECORD_BYTES, topic


@quick
@any_environment
def test_runs_have_time_and_room(environment: Environment) -> None:
    for declared, agent in zip(environment.agents, plan(environment).agents, strict=True):
        spec = agent.spec
        assert spec.limits.inbox_soft_events <= spec.limits.inbox_hard_events
        assert spec.limits.max_memory_bytes >= declared.workload.state_bytes_per_key
        if spec.model is None:
            assert agent.model_calls_in_flight == 0
            continue
        assert declared.workload.model_latency is not None
        assert declared.workload.model_latency.milliseconds < spec.model.timeout_ms
        assert spec.model.timeout_ms <= spec.limits.run_deadline_ms
        run_ms = declared.workload.calls_per_event * declared.workload.model_latency.milliseconds
        assert run_ms < spec.limits.run_deadline_ms
        assert spec.limits.inbox_soft_events * spec.parallelism >= declared.workload.calls_in_flight
        assert spec.model.concurrency is not None
        assert spec.model.concurrency * spec.parallelism <= agent.model_calls_in_flight
        assert spec.model.concurrency <= spec.model.max_concurrency


@quick
@any_environment
def test_every_topic_that_is_written_or_read_is_planned(environment: Environment) -> None:
    made = plan(environment)
    names = [topic.name for topic in made.topics]
    assert len(names) == len(set(names))
    used = {table.topic for source in made.sources for table in source.tables}
    for agent in made.agents:
        used |= {given.topic for given in agent.spec.inputs}
        used |= {agent.spec.outputs.decisions, agent.spec.outputs.outcomes, agent.spec.outputs.dead_letters}
    assert used <= set(names)


@quick
@any_environment
def test_a_subtask_has_partitions_and_shards(environment: Environment) -> None:
    made = plan(environment)
    partitions = {topic.name: topic.partitions for topic in made.topics}
    for declared, agent in zip(environment.agents, made.agents, strict=True):
        assert agent.spec.parallelism == declared.scaling.parallelism_min
        assert agent.spec.shards >= declared.scaling.parallelism_max
        assert agent.spec.max_parallelism >= agent.spec.shards
        for given_topic in agent.spec.inputs:
            assert partitions[given_topic.topic] >= declared.scaling.parallelism_max


def test_the_shipped_plan_fits_a_laptop(local: StackPlan) -> None:
    assert 1536 <= local.flink.taskmanager.process_mib <= 2048
    assert local.flink.checkpoints.interval_ms == 2_000


def test_little_s_law_decides_the_calls_in_flight(local: StackPlan) -> None:
    assert local.agents[0].model_calls_in_flight == 50 * 0.2 * 3


def test_deletes_carry_their_key(local: StackPlan) -> None:
    tables = {table.name: table.replica_identity for table in local.sources[0].tables}
    assert tables == {
        "public.customers": "default",
        "public.tickets": "full",
        "public.orders": "default",
        "public.payments": "full",
    }
    assert (
        local.sources[0].connector_config["replica.identity.autoset.values"]
        == r"public\.tickets:FULL,public\.payments:FULL"
    )


def test_a_key_within_the_primary_key_needs_no_replica_identity() -> None:
    declaration = shipped()
    del declaration["agents"][1], declaration["sources"][0]["tables"][1:]
    declaration["agents"][0] |= {"inputs": ["support.public.customers"], "key": ["id"]}
    (source,) = plan(parsed(declaration)).sources
    assert "replica.identity.autoset.values" not in source.connector_config


def test_patterns_of_tables_match_these_tables_alone(local: StackPlan) -> None:
    pattern = local.sources[0].connector_config["table.include.list"].split(",")[1]
    assert re.fullmatch(pattern, "public.tickets")
    assert not re.fullmatch(pattern, "public_tickets")


def test_a_models_endpoint_and_key_are_a_change_of_the_declaration() -> None:
    declaration = shipped()
    del declaration["agents"][1]
    model = declaration["agents"][0]["model"]
    model.update(endpoint="https://models.example/v1", name="big", api_key={"env": "MODEL_KEY"})
    made = plan(parsed(declaration))
    assert made.agents[0].spec.model is not None
    assert made.agents[0].spec.model.endpoint == "https://models.example/v1"
    assert made.agents[0].key_variables == {"model": "MODEL_KEY"}
    assert made.agents[0].spec.model.api_key_file is None
    assert not made.scripted_model


def test_an_embedding_model_has_limits_of_its_own_and_the_agents_key() -> None:
    declaration = shipped()
    agent = declaration["agents"][0]
    agent["embedding"] = {
        "endpoint": "https://models.example/v1",
        "name": "small",
        "api_key": {"env": "MODEL_KEY"},
        "dimensions": 256,
        "requests_per_minute": 60,
    }
    made = plan(parsed(declaration)).agents[0]
    embedding = made.spec.embedding
    assert embedding is not None
    assert (embedding.name, embedding.dimensions, embedding.requests_per_minute) == ("small", 256, 60)
    assert embedding.max_answer_bytes == 256 << 20
    assert made.key_variables == {"embedding": "MODEL_KEY"}
    keyed = made.spec_with_keys({"embedding": "/key"})
    assert keyed.embedding is not None
    assert keyed.embedding.api_key_file == "/key"
    assert keyed.model == made.spec.model


def test_a_model_on_bedrock_has_a_region_and_no_endpoint() -> None:
    declaration = shipped()
    declaration["agents"][0]["model"] = {"provider": "bedrock", "region": "eu-west-1", "name": "some.model"}
    model = plan(parsed(declaration)).agents[0].spec.model
    assert model is not None
    assert (model.provider, model.region, model.endpoint) == ("bedrock", "eu-west-1", None)


OTHER = {"endpoint": "https://other.example/v1", "name": "other", "api_key": {"env": "OTHER_KEY"}}


def with_model(**fields: Any) -> AgentPlan:
    """The plan of the first shipped agent, with a model of 10 s an attempt."""
    declaration = shipped()
    declaration["agents"][0]["model"] |= fields
    return plan(parsed(declaration)).agents[0]


def test_a_fallback_has_limits_of_its_own_and_the_models_where_it_declares_none() -> None:
    own = OTHER | {"timeout": "9s", "max_attempts": 2, "max_concurrency": 50, "requests_per_minute": 7}
    agent = with_model(fallbacks=[own, {"endpoint": "scripted", "name": "last"}], max_answer_bytes=99)
    model = agent.spec.model
    assert model is not None
    first, last = model.fallbacks
    assert (first.timeout_ms, first.max_attempts, first.max_concurrency) == (9_000, 2, 50)
    assert (first.requests_per_minute, first.max_answer_bytes) == (7, 4 << 20)
    assert (last.timeout_ms, last.max_attempts) == (model.timeout_ms, model.max_attempts)
    assert last.max_concurrency == model.max_concurrency
    assert model.max_answer_bytes == 99
    assert agent.key_variables == {"model.fallbacks[0]": "OTHER_KEY"}
    # Every attempt of the chain, and half as much for the waits between.
    assert agent.spec.limits.run_deadline_ms == (4 * 10_000 + 2 * 9_000 + 4 * 10_000) * 3 // 2


def test_a_scripted_fallback_is_served() -> None:
    declaration = shipped()
    del declaration["agents"][1]
    declaration["agents"][0]["model"] = OTHER
    assert not plan(parsed(declaration)).scripted_model
    declaration["agents"][0]["model"] = OTHER | {"fallbacks": [{"endpoint": "scripted", "name": "last"}]}
    assert plan(parsed(declaration)).scripted_model


def test_each_class_of_failure_has_a_consequence_as_declared_or_as_usual() -> None:
    model = with_model(on_failure={"auth": "escalate", "malformed": "dead_letter"}).spec.model
    assert model is not None
    assert model.on_failure == {
        "rate_limited": "wait",
        "overloaded": "wait",
        "timeout": "wait",
        "refused": "dead_letter",
        "malformed": "dead_letter",
        "too_long": "dead_letter",
        "auth": "escalate",
        "budget": "dead_letter",
        "unknown": "dead_letter",
    }
    assert model.escalated == {"auth"}
    model = with_model(fallbacks=[OTHER], on_failure={"timeout": "wait"}).spec.model
    assert model is not None
    assert [kind for kind, each in model.on_failure.items() if each == "fall_back"] == [
        "rate_limited",
        "overloaded",
        "auth",
        "budget",
    ]


def test_the_classes_that_can_be_declared_are_those_there_are() -> None:
    assert set(OnFailure.model_fields) == set(KINDS)


def test_hedges_and_a_cache_are_as_declared() -> None:
    model = with_model(hedge_after="2s", cache={"entries": 100, "expiry": "1h"}).spec.model
    assert model is not None
    assert model.hedge_after_ms == 2_000
    assert model.cache == CacheSpec(entries=100, expiry_ms=3_600_000)


def test_one_agents_setting_changes_that_agents_plan_alone() -> None:
    declaration = shipped()
    declaration["agents"].append(declaration["agents"][0] | {"name": "another"})
    before = plan(parsed(declaration))
    declaration["agents"][1] = declaration["agents"][1] | {"settings": {"threshold": 3}}
    after = plan(parsed(declaration))
    assert after.agents[1].spec.digest() != before.agents[1].spec.digest()
    without: dict[str, Any] = {"agents": (), "reasons": {}}
    assert after.model_copy(update=without) == before.model_copy(update=without)
    assert after.agents[0] == before.agents[0]


@pytest.mark.parametrize(
    ("limits", "model", "deadline_ms", "timeout_ms"),
    [
        ({}, {}, 60_000, 10_000),
        ({"run_deadline": "5s"}, {}, 5_000, 5_000),
        ({}, {"timeout": "40s", "max_attempts": 2}, 120_000, 40_000),
    ],
)
def test_declared_times_are_kept_and_the_others_follow(
    limits: dict[str, str], model: dict[str, object], deadline_ms: int, timeout_ms: int
) -> None:
    declaration = shipped()
    declaration["agents"][0]["limits"] = limits
    declaration["agents"][0]["model"] |= model
    agent = plan(parsed(declaration)).agents[0]
    assert agent.spec.model is not None
    assert (agent.spec.limits.run_deadline_ms, agent.spec.model.timeout_ms) == (deadline_ms, timeout_ms)


@pytest.mark.parametrize(
    ("limits", "soft", "hard"),
    [({}, 1500, 6000), ({"inbox_hard_events": 100}, 100, 100), ({"inbox_soft_events": 10}, 10, 40)],
)
def test_the_inboxs_bounds_keep_their_order(limits: dict[str, int], soft: int, hard: int) -> None:
    declaration = shipped()
    declaration["agents"][0]["limits"] = limits
    bounds = plan(parsed(declaration)).agents[0].spec.limits
    assert (bounds.inbox_soft_events, bounds.inbox_hard_events) == (soft, hard)


def test_a_connector_is_told_by_topics_of_its_own_that_are_kept_for_ever() -> None:
    declaration = shipped()
    declaration["sources"][0]["backfills"] = [
        {"id": "again", "tables": ["public.customers", "public.orders"], "where": {"public.orders": "true"}}
    ]
    made = plan(parsed(declaration))
    (source,) = made.sources
    topics = {topic.name: topic for topic in made.topics}
    for name in (source.signals_topic, source.notifications_topic):
        assert name is not None
        assert topics[name].partitions == 1
        assert (topics[name].config["retention.ms"], topics[name].config["cleanup.policy"]) == (
            "-1",
            "delete",
        )
    config = source.connector_config
    assert config["signal.kafka.topic"] == source.signals_topic
    assert config["notification.sink.topic.name"] == source.notifications_topic
    assert config["signal.kafka.bootstrap.servers"] == made.connect.settings["bootstrap.servers"]
    assert [backfill.model_dump() for backfill in source.backfills] == [
        {
            "id": "again",
            "tables": ("public.customers", "public.orders"),
            "where": {"public.orders": "true"},
        }
    ]
