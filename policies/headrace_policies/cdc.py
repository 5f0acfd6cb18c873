"""Change data capture: a connector that can't fill its source's disk, and passwords that stay secrets."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from headrace_policies.agent_specs import CONFIG_MAP
from headrace_policies.kubernetes import WORKLOADS
from headrace_policies.msk import CONNECTOR, GOOD_CONNECTOR
from headrace_policies.nodes import Node, Unknown
from headrace_policies.remedies import changed
from headrace_policies.rule import Declared, Rule
from headrace_policies.samples import TAGS
from headrace_policies.stacks import Case

WORKER = "aws:mskconnect/workerConfiguration:WorkerConfiguration"
DEBEZIUM_POSTGRESQL = ("io.debezium.connector.postgresql.", "dev.headrace.debezium.Postgres")
DEBEZIUM_BINLOG = (
    "io.debezium.connector.mysql.",
    "io.debezium.connector.mariadb.",
    "dev.headrace.debezium.MySql",
    "dev.headrace.debezium.MariaDb",
)
OFFSETS_TOPIC = "offset.storage.topic"
PASSWORD = re.compile(r"passw(or)?d$", re.IGNORECASE)
ASSIGNED = re.compile(r"passw(?:or)?d[\"']?\s*[=:]\s*[\"']?([^\s\"',;]+)", re.IGNORECASE)
"""``password=...`` or ``"password": "..."`` within a text."""


def _capture(case: Case) -> Iterator[str]:
    configuration = case.at("connectorConfiguration")
    kind = configuration.at("connector.class").text
    if not kind.startswith(DEBEZIUM_POSTGRESQL + DEBEZIUM_BINLOG):
        return
    heartbeat = configuration.at("heartbeat.interval.ms")
    if not heartbeat.number or heartbeat.number <= 0:
        yield heartbeat.fault(
            "while its tables are quiet the slot keeps WAL, until the source's disk is full"
            if kind.startswith(DEBEZIUM_POSTGRESQL)
            else "while its tables are quiet its place stays in a binlog that the source removes"
        )
    yield from (
        _of_slots(configuration) if kind.startswith(DEBEZIUM_POSTGRESQL) else _of_a_binlog(configuration)
    )
    retries = configuration.at("errors.max.retries")
    if retries.number is None or retries.number < 0:
        yield retries.fault(
            "a connector that can't go on never says so (Debezium's default is -1, without end)"
        )
    yield from _offsets(case)


def _of_a_binlog(configuration: Node) -> Iterator[str]:
    history = configuration.at("schema.history.internal.kafka.topic")
    if not history.is_set:
        yield history.fault("without a topic for how its tables looked the connector can't read its binlog")
    number = configuration.at("database.server.id").number
    if number is None or number <= 0:
        yield configuration.at("database.server.id").fault(
            "the server knows its readers by it, and throws out the first of two with the same"
        )


def _of_slots(configuration: Node) -> Iterator[str]:
    for name in ("slot.name", "publication.name"):
        if not configuration.at(name).is_set:
            yield configuration.at(name).fault("every connector would share Debezium's default name")
    autocreate = configuration.at("publication.autocreate.mode")
    if autocreate.text not in ("filtered", "disabled"):
        yield autocreate.fault(
            "the publication holds every table (Debezium's default is all_tables); use filtered"
        )


def _offsets(case: Case) -> Iterator[str]:
    chosen = case.at("workerConfiguration", "arn")
    if not chosen.is_unknown and not chosen.is_set:
        yield case.at("workerConfiguration").fault(
            f"without {OFFSETS_TOPIC} a connector that is made anew forgets where it was"
        )
        return
    # One that isn't of this stack can't be looked into; the program that declares it is judged.
    for worker in case.referred(WORKER, "workerConfiguration", "arn"):
        content = worker.at("propertiesFileContent")
        if not re.search(rf"^\s*{re.escape(OFFSETS_TOPIC)}\s*[=:]", _decoded(content.text), re.MULTILINE):
            yield content.fault(f"it does not set {OFFSETS_TOPIC}", hide=True)


def _decoded(content: str) -> str:
    """The provider takes properties as text and as base64."""
    try:
        return base64.b64decode(content, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return content


def _passwords(case: Case) -> Iterator[str]:
    for node in case.resource.properties.walk():
        if node.is_unknown:
            if PASSWORD.search(node.path):
                raise Unknown(node.path)
            continue
        if PASSWORD.search(node.path) and _is_clear(node.text):
            yield node.fault("a password in clear text; refer to a secret", hide=True)
        elif _assigns_password(node.text):
            yield node.fault("a password in clear text is in it; refer to a secret", hide=True)
    for variable in _variables(case):
        if PASSWORD.search(variable.at("name").text) and _is_clear(variable.at("value").text):
            yield variable.at("value").fault(
                "a password in clear text; use `valueFrom.secretKeyRef`", hide=True
            )


def _is_clear(text: str) -> bool:
    return bool(text) and not text.startswith("${")


def _assigns_password(text: str) -> bool:
    return any(_is_clear(found) for found in ASSIGNED.findall(text))


def _variables(case: Case) -> Iterator[Node]:
    """Environment variables of every container."""
    if case.resource.kind in WORKLOADS:
        for node in case.at("spec").find("env"):
            yield from node.items


def _connector(*path: str, value: object = None) -> Declared:
    return Declared(CONNECTOR, changed(GOOD_CONNECTOR, path, value) if path else GOOD_CONNECTOR)


PINNED = Declared(
    WORKER,
    {
        "arn": GOOD_CONNECTOR["workerConfiguration"]["arn"],
        "name": "orders",
        "propertiesFileContent": f"{OFFSETS_TOPIC}=orders-offsets\n",
        "tags": TAGS,
    },
    "worker",
)

RULES = (
    Rule(
        id="HR-CDC-1",
        title="A connector has a heartbeat, its own slot and publication, bounded retries and a pinned "
        "offsets topic",
        severity="high",
        governs=(CONNECTOR,),
        relates=(WORKER,),
        decides=("connectorConfiguration", "heartbeat.interval.ms"),
        absent_is_fault=True,
        why="A connector that reads nothing keeps WAL on the source until its disk is full; one that "
        "is made anew "
        "without its offsets starts with another snapshot. Of MySQL and MariaDB, in the place of slot and "
        "publication, the server's id and the topic of tables' history are looked at.",
        fix="Set what is named in `connectorConfiguration`, and offset.storage.topic in the worker's "
        "configuration.",
        judge=_capture,
        fails=(_connector("connectorConfiguration", "heartbeat.interval.ms", value="0"), PINNED),
        passes=(_connector(), PINNED),
    ),
    Rule(
        id="HR-CDC-2",
        title="No database password is in clear text",
        severity="critical",
        governs=(CONNECTOR, WORKER, CONFIG_MAP, *WORKLOADS),
        decides=("connectorConfiguration", "database.password"),
        absent_is_fault=False,
        why="What is in a property is in logs, in the state, and in every answer that describes the "
        "resource.",
        fix="Refer to the secret (`${secretsmanager:NAME:password}`, `secretKeyRef`) and let the "
        "worker resolve it.",
        judge=_passwords,
        fails=(_connector("connectorConfiguration", "database.password", value="hunter2"), PINNED),
        passes=(_connector(), PINNED),
    ),
)
