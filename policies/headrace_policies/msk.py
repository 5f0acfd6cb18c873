"""MSK and MSK Connect: how brokers are reached, by whom, and what is watched and logged."""

from __future__ import annotations

from collections.abc import Iterator

from headrace_policies.remedies import always, changed
from headrace_policies.rule import Declared, Properties, Rule
from headrace_policies.samples import TAGS
from headrace_policies.stacks import Case

CLUSTER = "aws:msk/cluster:Cluster"
CONNECTOR = "aws:mskconnect/connector:Connector"
MONITORING = ("PER_TOPIC_PER_BROKER", "PER_TOPIC_PER_PARTITION")
DESTINATIONS = ("cloudwatchLogs", "firehose", "s3")

GOOD_CLUSTER: Properties = {
    "clusterName": "orders",
    "kafkaVersion": "3.9.x",
    "numberOfBrokerNodes": 3,
    "brokerNodeGroupInfo": {
        "instanceType": "express.m7g.large",
        "clientSubnets": ["subnet-1", "subnet-2", "subnet-3"],
        "securityGroups": ["sg-1"],
        "connectivityInfo": {"publicAccess": {"type": "DISABLED"}},
    },
    "encryptionInfo": {"encryptionInTransit": {"clientBroker": "TLS", "inCluster": True}},
    "clientAuthentication": {"sasl": {"iam": True}, "unauthenticated": False},
    "enhancedMonitoring": "PER_TOPIC_PER_BROKER",
    "loggingInfo": {"brokerLogs": {"cloudwatchLogs": {"enabled": True, "logGroup": "/msk/orders"}}},
    "tags": TAGS,
}
GOOD_CONNECTOR: Properties = {
    "name": "orders",
    "kafkaconnectVersion": "3.7.x",
    "connectorConfiguration": {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.password": "${secretsmanager:orders-database:password}",
        "heartbeat.interval.ms": "5000",
        "slot.name": "orders",
        "publication.name": "orders",
        "publication.autocreate.mode": "filtered",
        "errors.max.retries": "100",
    },
    "kafkaClusterEncryptionInTransit": {"encryptionType": "TLS"},
    "kafkaClusterClientAuthentication": {"authenticationType": "IAM"},
    "logDelivery": {
        "workerLogDelivery": {"cloudwatchLogs": {"enabled": True, "logGroup": "/connect/orders"}}
    },
    "workerConfiguration": {
        "arn": "arn:aws:kafkaconnect:eu-central-1:111122223333:worker/orders",
        "revision": 1,
    },
    "tags": TAGS,
}


def _bad(kind: str, good: Properties, *path: str, value: object) -> tuple[Declared, ...]:
    return (Declared(kind, changed(good, path, value)),)


def _between_brokers(case: Case) -> Iterator[str]:
    node = case.at("encryptionInfo", "encryptionInTransit", "inCluster")
    if node.is_false:
        yield node.fault("brokers copy records to each other in clear text")


def _clients(case: Case) -> Iterator[str]:
    node = case.at("encryptionInfo", "encryptionInTransit", "clientBroker")
    if node.is_set and node.text != "TLS":
        yield node.fault("clients may speak to brokers in clear text; only TLS is allowed")


def _monitoring(case: Case) -> Iterator[str]:
    node = case.at("enhancedMonitoring")
    if node.text not in MONITORING:
        yield node.fault(f"it has to be one of {', '.join(MONITORING)}, or a slow topic can't be found")


def _connector_traffic(case: Case) -> Iterator[str]:
    node = case.at("kafkaClusterEncryptionInTransit", "encryptionType")
    if node.text != "TLS":
        yield node.fault("the connector speaks to brokers in clear text; it has to be TLS")


def _public(case: Case) -> Iterator[str]:
    node = case.at("brokerNodeGroupInfo", "connectivityInfo", "publicAccess", "type")
    if node.is_set and node.text != "DISABLED":
        yield node.fault("brokers can be reached from the internet; it has to be DISABLED")


def _logs(case: Case, *path: str) -> Iterator[str]:
    node = case.at(*path)
    if not any(node.at(where, "enabled").is_true for where in DESTINATIONS):
        yield node.fault(f"no log is delivered: one of {', '.join(DESTINATIONS)} has to be enabled")


def _unauthenticated(case: Case) -> Iterator[str]:
    node = case.at("clientAuthentication", "unauthenticated")
    if node.is_true:
        yield node.fault("anyone who reaches a broker may read and write every topic")
    methods = [("sasl", "iam"), ("sasl", "scram"), ("tls", "certificateAuthorityArns")]
    chosen = [case.at("clientAuthentication", *method) for method in methods]
    if not node.is_true and not any(method.is_set and not method.is_false for method in chosen):
        yield case.at("clientAuthentication").fault(
            "no client has to say who it is; IAM, SCRAM or mutual TLS does that"
        )


RULES = (
    Rule(
        id="MSK.1",
        title="Brokers of an MSK cluster speak TLS to each other",
        also=("nag-MSK3",),
        severity="medium",
        governs=(CLUSTER,),
        decides=("encryptionInfo", "encryptionInTransit", "inCluster"),
        absent_is_fault=False,
        why="Records cross zones while they are replicated. MSK's default is TLS; it can only be "
        "chosen at creation.",
        fix="Leave `encryptionInfo.encryptionInTransit.inCluster` out or set it to true; a cluster "
        "that was made "
        "without has to be replaced, so there is no remediation.",
        judge=_between_brokers,
        fails=_bad(CLUSTER, GOOD_CLUSTER, "encryptionInfo", "encryptionInTransit", "inCluster", value=False),
        passes=(Declared(CLUSTER, GOOD_CLUSTER),),
    ),
    Rule(
        id="nag-MSK2",
        title="Clients reach an MSK cluster by TLS only",
        also=("CKV_AWS_81",),
        severity="high",
        governs=(CLUSTER,),
        decides=("encryptionInfo", "encryptionInTransit", "clientBroker"),
        absent_is_fault=False,
        why="Clear text shows every record, and credentials of SCRAM, to who listens. MSK's default is TLS.",
        fix="Set `encryptionInfo.encryptionInTransit.clientBroker` to TLS once all clients use it.",
        judge=_clients,
        fails=_bad(
            CLUSTER,
            GOOD_CLUSTER,
            "encryptionInfo",
            "encryptionInTransit",
            "clientBroker",
            value="TLS_PLAINTEXT",
        ),
        passes=(Declared(CLUSTER, GOOD_CLUSTER),),
    ),
    Rule(
        id="MSK.2",
        title="An MSK cluster is monitored per topic and broker at least",
        severity="low",
        governs=(CLUSTER,),
        decides=("enhancedMonitoring",),
        absent_is_fault=True,
        why="The default level has no figures of single topics, so it can't be told which stream lags.",
        fix="Set `enhancedMonitoring` to PER_TOPIC_PER_BROKER.",
        judge=_monitoring,
        remedy=always("enhancedMonitoring", value=MONITORING[0]),
        fails=_bad(CLUSTER, GOOD_CLUSTER, "enhancedMonitoring", value="DEFAULT"),
        passes=(Declared(CLUSTER, GOOD_CLUSTER),),
    ),
    Rule(
        id="MSK.3",
        title="An MSK connector speaks TLS to its brokers",
        severity="medium",
        governs=(CONNECTOR,),
        decides=("kafkaClusterEncryptionInTransit", "encryptionType"),
        absent_is_fault=True,
        why="What is captured from a database crosses the network in clear text otherwise.",
        fix="Set `kafkaClusterEncryptionInTransit.encryptionType` to TLS; the connector is replaced by that.",
        judge=_connector_traffic,
        fails=_bad(
            CONNECTOR, GOOD_CONNECTOR, "kafkaClusterEncryptionInTransit", "encryptionType", value="PLAINTEXT"
        ),
        passes=(Declared(CONNECTOR, GOOD_CONNECTOR),),
    ),
    Rule(
        id="MSK.4",
        title="Brokers of an MSK cluster are not public",
        also=("CKV_AWS_291",),
        severity="critical",
        governs=(CLUSTER,),
        decides=("brokerNodeGroupInfo", "connectivityInfo", "publicAccess", "type"),
        absent_is_fault=False,
        why="A public broker offers every topic to whoever has, or guesses, a credential. The default "
        "is DISABLED.",
        fix="Set `brokerNodeGroupInfo.connectivityInfo.publicAccess.type` to DISABLED; reach it from "
        "inside the VPC.",
        judge=_public,
        remedy=always("brokerNodeGroupInfo", "connectivityInfo", "publicAccess", "type", value="DISABLED"),
        fails=_bad(
            CLUSTER,
            GOOD_CLUSTER,
            *("brokerNodeGroupInfo", "connectivityInfo", "publicAccess", "type"),
            value="SERVICE_PROVIDED_EIPS",
        ),
        passes=(Declared(CLUSTER, GOOD_CLUSTER),),
    ),
    Rule(
        id="MSK.5",
        title="An MSK connector delivers its logs",
        severity="medium",
        governs=(CONNECTOR,),
        decides=("logDelivery", "workerLogDelivery"),
        absent_is_fault=True,
        why="MSK Connect has no REST interface: its log is the only place that says why a connector failed.",
        fix="Enable a destination in `logDelivery.workerLogDelivery`.",
        judge=lambda case: _logs(case, "logDelivery", "workerLogDelivery"),
        fails=_bad(
            CONNECTOR, GOOD_CONNECTOR, "logDelivery", "workerLogDelivery", value={"s3": {"enabled": False}}
        ),
        passes=(Declared(CONNECTOR, GOOD_CONNECTOR),),
    ),
    Rule(
        id="MSK.6",
        title="Clients of an MSK cluster are authenticated",
        severity="high",
        governs=(CLUSTER,),
        decides=("clientAuthentication",),
        absent_is_fault=True,
        why="Without authentication there is no authorisation: everyone in the network may write "
        "every topic.",
        fix="Set `clientAuthentication.sasl.iam` to true and `unauthenticated` to false, clients first.",
        judge=_unauthenticated,
        fails=_bad(CLUSTER, GOOD_CLUSTER, "clientAuthentication", "unauthenticated", value=True),
        passes=(Declared(CLUSTER, GOOD_CLUSTER),),
    ),
    Rule(
        id="CKV_AWS_80",
        title="Brokers of an MSK cluster deliver their logs",
        also=("nag-MSK6",),
        severity="medium",
        governs=(CLUSTER,),
        decides=("loggingInfo", "brokerLogs"),
        absent_is_fault=True,
        why="Refused clients, lost leaders and shrinking replica sets are told in the brokers' logs alone.",
        fix="Enable a destination in `loggingInfo.brokerLogs`.",
        judge=lambda case: _logs(case, "loggingInfo", "brokerLogs"),
        fails=_bad(CLUSTER, GOOD_CLUSTER, "loggingInfo", "brokerLogs", value={"s3": {"enabled": False}}),
        passes=(Declared(CLUSTER, GOOD_CLUSTER),),
    ),
)
