"""What was changed behind the engine's back is seen by `preview` and mended by `up`."""

from __future__ import annotations

import httpx
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from tests.pipeline.plugin import Pipeline
from tests.pipeline.stack import REST_TIMEOUT_S, LiveStack

PROCESS = "scripted-model"
TOPIC = "support-triage.decisions"
ADMIN_TIMEOUT_S = 30


def test_drift_is_seen_and_mended(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    jobs, processes = stack.job_ids(), stack.processes()
    connector = stack.plan.sources[0].connector
    stack.stop_process(PROCESS)
    set_connector(stack, connector, "poll.interval.ms", "777")
    set_topic(stack, "retention.ms", "123456789")

    seen = stack.succeed("preview")
    for expected in (PROCESS, '"stopped"', connector, '"777"', TOPIC, '"123456789"', "3 to update"):
        assert expected in seen, f"{expected} not in:\n{seen}"

    stack.up()
    assert stack.processes().keys() == processes.keys()
    assert connector_config(stack, connector)["poll.interval.ms"] != "777"
    assert topic_config(stack)["retention.ms"] != "123456789"
    unmoved = processes.keys() - {PROCESS}
    assert {n: stack.processes()[n] for n in unmoved} == {n: processes[n] for n in unmoved}
    assert stack.job_ids() == jobs
    pipeline.load.insert(20)
    pipeline.verify()


def connector_config(stack: LiveStack, connector: str) -> dict[str, str]:
    return stack.rest(stack.connect_url, f"/connectors/{connector}/config")


def set_connector(stack: LiveStack, connector: str, name: str, value: str) -> None:
    url = f"{stack.connect_url}/connectors/{connector}/config"
    config = connector_config(stack, connector) | {name: value}
    httpx.put(url, json=config, timeout=REST_TIMEOUT_S, trust_env=False).raise_for_status()


def topic_config(stack: LiveStack) -> dict[str, str]:
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    resource = ConfigResource(ResourceType.TOPIC, TOPIC)
    found = admin.describe_configs([resource])[resource].result(ADMIN_TIMEOUT_S)
    return {name: str(entry.value) for name, entry in found.items()}


def set_topic(stack: LiveStack, name: str, value: str) -> None:
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, TOPIC, incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result(ADMIN_TIMEOUT_S)
