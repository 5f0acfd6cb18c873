"""A Helm release: its values are recorded, and compared with the keys that the operator's chart has.

The chart itself is in no registry here, so nothing is rendered: what it would make of the values is unproved.
Of the chart's work one thing is done: its custom resource definitions are installed, and stay when it goes.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from tests.standins.kubernetes.api import Api, of
from tests.standins.kubernetes.definitions import of_operator
from tests.standins.protocol import Refused
from tests.standins.record import Record
from tests.standins.values import Values

TYPE = "kubernetes:helm.sh/v3:Release"

DOCUMENTED = frozenset(
    {
        "defaultConfiguration.append", "defaultConfiguration.create", "defaultConfiguration.flink-conf.yaml",
        "defaultConfiguration.log4j-console.properties", "defaultConfiguration.log4j-operator.properties",
        "fullnameOverride", "image.digest", "image.pullPolicy", "image.repository", "image.tag",
        "imagePullSecrets", "jobServiceAccount.annotations", "jobServiceAccount.create",
        "jobServiceAccount.name", "jvmArgs.operator", "jvmArgs.webhook", "metrics.port", "nameOverride",
        "operatorHealth.livenessProbe", "operatorHealth.port", "operatorHealth.startupProbe",
        "operatorPod.annotations", "operatorPod.dnsConfig", "operatorPod.dnsPolicy", "operatorPod.env",
        "operatorPod.envFrom", "operatorPod.labels", "operatorPod.nodeSelector", "operatorPod.resources",
        "operatorPod.tolerations", "operatorPod.topologySpreadConstraints", "operatorPod.webhook.resources",
        "operatorSecurityContext", "operatorServiceAccount.annotations", "operatorServiceAccount.create",
        "operatorServiceAccount.name", "operatorVolumeMounts.create", "operatorVolumeMounts.data",
        "operatorVolumes.create", "operatorVolumes.data", "podSecurityContext", "postStart", "rbac.create",
        "rbac.nodesRule.create", "replicas", "strategy.type", "watchNamespaces", "webhook.create",
        "webhook.keystore", "webhook.mutator.create", "webhook.validator.create", "webhookSecurityContext",
    }
)  # fmt: skip
"""The table of the operator's documentation (operations, Helm)."""
OF_ITS_VALUES = frozenset(
    {
        "rbac.jobRole.create", "rbac.jobRole.name", "rbac.jobRoleBinding.create", "rbac.jobRoleBinding.name",
        "rbac.operatorRole.create", "rbac.operatorRole.name", "rbac.operatorRoleBinding.create",
        "rbac.operatorRoleBinding.name",
    }
)  # fmt: skip
"""Not in that table, and in the chart's `values.yaml`."""
LEADER_ELECTION = "kubernetes.operator.leader-election.enabled"


def install(api: Api, record: Record, inputs: Values) -> str:
    """The id.

    Raises:
        Refused: its namespace is not there, or the chart would not know a value.
    """
    _check(inputs)
    space, name = inputs["namespace"], inputs["name"]
    if api.get(of("Namespace", space)) is None:
        raise Refused(f'release {name}: namespaces "{space}" not found')
    for definition in of_operator():
        api.define(definition)
    made = f"{space}/{name}"
    record.put(TYPE, made, inputs)
    return made


def upgrade(record: Record, made: str, inputs: Values) -> None:
    _check(inputs)
    record.put(TYPE, made, inputs)


def outputs(inputs: Values) -> Values:
    status = {
        "status": "deployed",
        "name": inputs["name"],
        "namespace": inputs["namespace"],
        "version": inputs.get("version", ""),
        "revision": 1,
    }
    return inputs | {"status": status}


def unknown_values(values: Values) -> list[str]:
    """Paths that the chart does not know; below a key that it hands on as it is, anything goes."""
    return sorted(_unknown(values, ""))


def _unknown(values: Values, path: str) -> Iterator[str]:
    for name, value in values.items():
        inner = f"{path}.{name}" if path else name
        if inner in DOCUMENTED or inner in OF_ITS_VALUES:
            continue
        leads_on = any(each.startswith(f"{inner}.") for each in DOCUMENTED | OF_ITS_VALUES)
        if leads_on and isinstance(value, dict):
            yield from _unknown(value, inner)
        else:
            yield inner


def _check(inputs: Values) -> None:
    values = inputs.get("values") or {}
    if unknown := unknown_values(values):
        raise Refused(f"release {inputs['name']}: the chart has no values {', '.join(unknown)}")
    configuration = yaml.safe_load(values.get("defaultConfiguration", {}).get("flink-conf.yaml", "")) or {}
    leads = str(configuration.get(LEADER_ELECTION)).lower() == "true"
    if values.get("replicas", 1) > 1 and not leads:
        raise Refused(f"release {inputs['name']}: more than one replica needs {LEADER_ELECTION}")
