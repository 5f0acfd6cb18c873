"""A job's state: nothing removes it, settings keep it, transactions outlive an outage."""

from __future__ import annotations

from collections.abc import Iterator

from headrace_policies.agent_specs import HOLDERS, spec_of, specs_in
from headrace_policies.agents import config_map
from headrace_policies.checkpoint_paths import (
    CHECKPOINTS,
    FLINK_DEPLOYMENT,
    HA_STORAGE,
    Location,
    locations,
    option,
    split,
)
from headrace_policies.durations import milliseconds
from headrace_policies.flink import configured, deployment
from headrace_policies.nodes import Node
from headrace_policies.rule import Declared, Option, Rule
from headrace_policies.s3 import BUCKET_TYPE, GOOD_BUCKET, LIFECYCLE
from headrace_policies.stacks import Case, Stack

MSK_CONFIGURATION = "aws:msk/configuration:Configuration"
RETENTION = "execution.checkpointing.externalized-checkpoint-retention"
BROKER_MAXIMUM = "transaction.max.timeout.ms"
KAFKA_DEFAULT_MAXIMUM_MS = 900_000
"""Of ``transaction.max.timeout.ms``, by Kafka's documentation."""


def _lifecycle(case: Case) -> Iterator[str]:
    bucket = case.at("bucket")
    live = list(locations(case.stack))
    for rule in case.at("rules").items:
        removing = _removing(rule)
        if rule.at("status").text != "Enabled" or removing is None:
            continue
        prefix = _prefix(rule)
        for place in live:
            if place.bucket == bucket.text and _overlaps(prefix, place):
                yield removing.fault(
                    f"it reaches {place.prefix or 'every object'} of bucket {place.bucket}, where job "
                    f"{place.deployment} keeps state (`{place.option}`): incremental checkpoints "
                    "share old files"
                )


def _removing(rule: Node) -> Node | None:
    """The part of a lifecycle rule that expires or moves live objects; old versions aren't live."""
    expiration = rule.at("expiration")
    if expiration.at("days").is_set or expiration.at("date").is_set:
        return expiration
    return rule.at("transitions") if rule.at("transitions").items else None


def _prefix(rule: Node) -> str:
    places = (rule.at("filter", "prefix"), rule.at("filter", "and", "prefix"), rule.at("prefix"))
    return next((node.text for node in places if node.is_set), "")


def _overlaps(prefix: str, place: Location) -> bool:
    return prefix.startswith(place.prefix) or place.prefix.startswith(prefix)


def _kept(case: Case) -> Iterator[str]:
    if not case.at("spec", "job").is_set:
        return
    for name in ("execution.checkpointing.interval", "execution.checkpointing.timeout"):
        node = _job_option(case, name)
        if not milliseconds(node.text):
            yield node.fault("a job without it loses its state with its processes")
    retention = _job_option(case, RETENTION)
    if retention.text != "RETAIN_ON_CANCELLATION":
        yield retention.fault("checkpoints are deleted with the job; it has to be RETAIN_ON_CANCELLATION")
    kind = option(case.resource, "high-availability.type", "high-availability")
    if kind.text.lower() in ("", "none"):
        yield kind.fault("a JobManager that is lost forgets its job")
    for names in (CHECKPOINTS, HA_STORAGE):
        yield from _in_a_bucket_of(case.stack, option(case.resource, *names))


def _in_a_bucket_of(stack: Stack, node: Node) -> Iterator[str]:
    if not node.is_set:
        yield node.fault("it has to be in a bucket of this stack")
        return
    bucket = split(node.text)[0]
    if not any(bucket in found.identities for found in stack.of(BUCKET_TYPE)):
        yield node.fault(f"bucket {bucket!r} is none of this stack's, so nothing here looks after it")


def _job_option(case: Case, name: str) -> Node:
    """From the deployment, else from the specification of the agent that has its name."""
    node = case.at("spec", "flinkConfiguration", name)
    if node.is_unknown or node.is_set:
        return node
    spec = spec_of(case.stack, case.at("metadata", "name").text)
    own = spec.at("flink_configuration", name) if spec else node
    return own if own.is_set else node


def _transactions(case: Case) -> Iterator[str]:
    objective_ms = case.config["recoveryObjectiveSeconds"] * 1000
    maximum_ms = _broker_maximum_ms(case)
    for spec in specs_in(case.resource):
        node = spec.at("kafka", "transaction_timeout_ms")
        if node.number is None or node.number <= objective_ms:
            yield node.fault(
                f"a transaction ends before a job is back ({objective_ms:g} ms), and its records are lost"
            )
        elif node.number > maximum_ms:
            yield node.fault(f"brokers refuse transactions of more than {maximum_ms:g} ms")


def _broker_maximum_ms(case: Case) -> float:
    found = [
        float(value)
        for configuration in case.stack.of(MSK_CONFIGURATION)
        for name, _, value in (
            line.partition("=") for line in configuration.at("serverProperties").text.splitlines()
        )
        if name.strip() == BROKER_MAXIMUM
    ]
    return min(found, default=case.config["brokerMaximumMs"])


def _expiring(prefix: str) -> tuple[Declared, ...]:
    rule = {"id": "old", "status": "Enabled", "filter": {"prefix": prefix}, "expiration": {"days": 30}}
    return Declared(LIFECYCLE, {"bucket": "orders", "rules": [rule]}, "lifecycle"), *deployment()


BUCKET = Declared(BUCKET_TYPE, GOOD_BUCKET, "orders")

RULES = (
    Rule(
        id="HR-CKPT-1",
        title="No lifecycle rule expires or moves objects under a live checkpoint prefix",
        severity="critical",
        governs=(LIFECYCLE,),
        relates=(FLINK_DEPLOYMENT,),
        decides=("rules", "0", "filter", "prefix"),
        absent_is_fault=True,
        why="Incremental checkpoints go on using files of old ones: age says nothing about whether a "
        "file is needed. "
        "A rule that removes old objects destroys a running job's state.",
        fix="Bind the rule to a prefix without checkpoints, savepoints and HA storage; let Flink (and "
        "`headrace state "
        "clean`) remove what nothing refers to.",
        judge=_lifecycle,
        fails=_expiring("checkpoints/"),
        passes=_expiring("exports/"),
    ),
    Rule(
        id="HR-CKPT-2",
        title="A Flink job keeps its state in a bucket of this stack",
        severity="critical",
        governs=(FLINK_DEPLOYMENT,),
        relates=(BUCKET_TYPE, *HOLDERS),
        decides=("spec", "flinkConfiguration", "execution.checkpointing.interval"),
        absent_is_fault=True,
        why="State outlives a failure only if checkpoints are taken, end in time, are retained, and "
        "can be found by "
        "the next JobManager, in storage that goes away with nobody else's stack.",
        fix="Set checkpoint interval and timeout, RETAIN_ON_CANCELLATION, high availability, and "
        "directories in a "
        "bucket of this stack.",
        judge=_kept,
        fails=(*configured(RETENTION, value="DELETE_ON_CANCELLATION"), BUCKET),
        passes=(*deployment(), BUCKET),
    ),
    Rule(
        id="HR-CKPT-3",
        title="A Kafka sink's transactions outlive a recovery and are within the brokers' maximum",
        severity="critical",
        governs=HOLDERS,
        relates=(MSK_CONFIGURATION,),
        decides=("data", "agent.json"),
        absent_is_fault=False,
        why="A transaction that a checkpoint prepared is committed after the recovery; one that the "
        "broker ended "
        "before has lost its records. One above the broker's maximum is refused, and the job does not start.",
        fix="Set the timeout between the recovery objective and `transaction.max.timeout.ms` of the brokers.",
        judge=_transactions,
        options={
            "recoveryObjectiveSeconds": Option({"type": "number", "minimum": 1}, 90),
            "brokerMaximumMs": Option({"type": "number", "minimum": 1}, KAFKA_DEFAULT_MAXIMUM_MS),
        },
        fails=config_map("kafka", "transaction_timeout_ms", value=3_600_000),
        passes=config_map(),
    ),
)
