"""The local stack of the shipped declaration, resource by resource."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from headrace.environment import load_environment
from headrace.local import LocalStack, StackFiles
from headrace.local.agent import key_files
from headrace.local.savepoint_schedule import Schedule
from headrace.local.scaling.orders import Orders
from headrace.local.secrets import SUPERUSER_PASSWORD, write_secret
from headrace.plan import plan
from headrace.plan.model import BackfillPlan, StackPlan
from headrace.toolchain.runtimes import Runtimes
from headrace_agents.code import RUNTIME_PACKAGE, code_digest
from headrace_agents.describing import manifest_of
from tests.components.recording import Registered, fit_of, registered

SHIPPED = Path(__file__).parents[2] / "stacks" / "Pulumi.local.yaml"
PREFIX = "headrace-local:index:"
AGENT = f"{PREFIX}AgentJob support-triage-job"


@pytest.fixture(autouse=True)
def ordinary_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who is not root, with Prometheus installed."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


@pytest.fixture
def runtimes(tmp_path: Path) -> Runtimes:
    folder = tmp_path / "runtimes"
    conf = folder / "flink" / "conf"
    conf.mkdir(parents=True)
    (conf / "config.yaml").write_text(
        "env:\n  java:\n    opts:\n      all: --add-opens=java.base/java.util=ALL\n"
    )
    return Runtimes(
        kafka=folder / "kafka",
        connect_plugins=folder / "connect-plugins",
        other_plugins=folder / "other-plugins",
        s3proxy=folder / "s3proxy",
        postgres=folder / "postgres",
        flink=folder / "flink",
        agents_python=folder / "agents" / "python",
        pulumi_bin=folder / "pulumi",
    )


@pytest.fixture
def files(tmp_path: Path) -> StackFiles:
    return StackFiles(tmp_path / "stack")


@pytest.fixture
def shipped() -> StackPlan:
    return plan(load_environment(SHIPPED))


@pytest.fixture
def stack(shipped: StackPlan, files: StackFiles, runtimes: Runtimes) -> Registered:
    return registered(lambda: LocalStack(shipped, files, runtimes, fit_of(shipped)))


def test_the_stack_is_the_agreed_one(
    stack: Registered,
    shipped: StackPlan,
    files: StackFiles,
    runtimes: Runtimes,
    snapshot: SnapshotAssertion,
) -> None:
    manifests = {
        json.dumps(manifest_of(each.spec.entry_point).canonical())[
            1:-1
        ]: f"MANIFEST of {each.spec.entry_point}"
        for each in shipped.agents
    }
    places = manifests | {
        code_digest(RUNTIME_PACKAGE, "support_triage"): "CODE",
        code_digest(RUNTIME_PACKAGE, "order_risk"): "ORDER_RISK_CODE",
        code_digest(RUNTIME_PACKAGE): "RUNTIME_CODE",
        str(files.root): "STACK",
        str(runtimes.flink.parent): "RUNTIMES",
        _parent_of_package(RUNTIME_PACKAGE): "PACKAGES",
        sys.executable: "PYTHON",
    }
    text = json.dumps(stack)
    for given, shown in places.items():
        text = text.replace(given, shown)
    assert json.loads(text) == snapshot(extension_class=JSONSnapshotExtension)


def test_data_outlives_its_stack_and_nothing_else_does(stack: Registered) -> None:
    retained = {key.split()[0] for key, found in stack.items() if found["retained"]}
    assert retained == {f"{PREFIX}Database", f"{PREFIX}Topic", f"{PREFIX}Bucket"}
    assert all(found["retained"] for key, found in stack.items() if key.split()[0] in retained)


def test_everything_that_runs_stands_below_something_that_waits_for_the_supervisor(stack: Registered) -> None:
    components = {found["parent"] for key, found in stack.items() if key.startswith(f"{PREFIX}Process ")}
    by_name = {key.split()[1]: found for key, found in stack.items() if key.startswith("headrace:local:")}
    assert components
    assert all(by_name[name]["depends_on"] == ["supervisor"] for name in components)


def test_nothing_starts_before_what_it_needs(stack: Registered) -> None:
    def needs(kind: str, name: str) -> set[str]:
        return set(stack[f"{PREFIX}{kind} {name}"]["depends_on"])

    topics = {key.split()[1] for key in stack if key.startswith(f"{PREFIX}Topic ")}
    assert needs("Publication", "support-publication") == {"support-database"}
    # It is dropped before the publication, and after the connector.
    assert needs("Slot", "support-slot") == {"support-publication"}
    assert needs("Preflight", "support-preflight") == {"support-slot", "connect", *topics}
    assert needs("Connector", "local-support") == {"support-preflight", "connect", *topics}
    assert needs("AgentJob", "support-triage-job") == {
        "agents",
        "taskmanager-1",
        "taskmanager-2",
        "scripted-model",
        *topics,
    }
    assert needs("Process", "jobmanager") == {"zookeeper", "checkpoints", "savepoints", "high-availability"}


def test_backfills_start_when_their_connector_runs_one_after_the_other(
    shipped: StackPlan, files: StackFiles, runtimes: Runtimes
) -> None:
    (source,) = shipped.sources
    tables = ("public.customers",)
    declared = (
        BackfillPlan(id="some", tables=tables, where={"public.customers": "id < 7"}),
        BackfillPlan(id="all", tables=tables, where={}),
    )
    sources = (source.model_copy(update={"backfills": declared}),)
    made = shipped.model_copy(update={"sources": sources})
    found = registered(lambda: LocalStack(made, files, runtimes, fit_of(made)))
    first = found[f"{PREFIX}Backfill support-backfill-some"]
    second = found[f"{PREFIX}Backfill support-backfill-all"]
    assert (first["depends_on"], second["depends_on"]) == (["local-support"], ["support-backfill-some"])
    assert first["inputs"] == {
        "bootstrap_servers": "127.0.0.1:17001",
        "topic": "support.signals",
        "source": "support",
        "id": "some",
        "tables": ["public.customers"],
        "where": {"public.customers": "id < 7"},
    }


def test_no_secret_is_in_any_input(files: StackFiles, runtimes: Runtimes, tmp_path: Path) -> None:
    secret = "do-not-pass-this-on"
    text = SHIPPED.read_text().replace("endpoint: scripted", "endpoint: https://models.example/v1")
    declaration = tmp_path / SHIPPED.name
    declaration.write_text(
        text.replace("name: scripted-triage", "name: some-model\n          api_key: {env: MODEL_KEY}")
    )
    made = plan(load_environment(declaration))
    write_secret(files.secret(SUPERUSER_PASSWORD), secret)
    write_secret(files.secret("support.properties"), f"password={secret}\n")
    for agent in made.agents:
        write_secret(key_files(files, agent)["model"], secret)

    stack = registered(lambda: LocalStack(made, files, runtimes, fit_of(made)))

    assert secret not in json.dumps(stack)
    connector = stack[f"{PREFIX}Connector local-support"]["inputs"]["config"]
    assert connector["database.password"] == f"${{file:{files.secret('support.properties')}:password}}"
    for agent in made.agents:
        model = stack[f"{PREFIX}AgentJob {agent.name}-job"]["inputs"]["spec"]["model"]
        assert model["api_key_file"] == str(key_files(files, agent)["model"])
    assert not any("scripted" in key for key in stack)


def test_for_root_postgres_runs_in_a_user_namespace(
    shipped: StackPlan, files: StackFiles, runtimes: Runtimes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    inputs = _process(registered(lambda: LocalStack(shipped, files, runtimes, fit_of(shipped))), "postgres")
    assert inputs["command"][:2] == ["unshare", "--user"]
    assert inputs["preparation"][0]["command"][:2] == ["unshare", "--user"]


def test_prometheus_is_part_of_the_stack_only_where_it_is_installed(
    shipped: StackPlan, files: StackFiles, runtimes: Runtimes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    stack = registered(lambda: LocalStack(shipped, files, runtimes, fit_of(shipped)))
    assert not any("prometheus" in key.lower() for key in stack)


def test_periodic_savepoints_have_a_process_only_where_they_are_declared(
    stack: Registered, files: StackFiles, runtimes: Runtimes, tmp_path: Path
) -> None:
    name = f"{PREFIX}Process periodic-savepoints"
    assert name not in stack
    declaration = tmp_path / SHIPPED.name
    declaration.write_text(f"{SHIPPED.read_text()}    savepoints: {{interval: 6h, history_age: 48h}}\n")
    declared = plan(load_environment(declaration))
    (told,) = registered(lambda: LocalStack(declared, files, runtimes, fit_of(declared)))[name]["inputs"][
        "files"
    ].values()
    schedule = Schedule.model_validate_json(told)
    assert schedule.agents == ("support-triage", "order-risk")
    assert (schedule.interval_s, schedule.history_count, schedule.history_age_s) == (21_600, 10, 172_800)
    assert schedule.settle_s >= 2 * declared.flink.checkpoints.timeout_ms / 1000


def test_taskmanagers_above_those_that_always_run_are_on_standby(
    stack: Registered, shipped: StackPlan
) -> None:
    """Support triage may have 4 subtasks and order risk 2: 6, in 2 slots each."""
    standby = {
        key.split()[1]: found["inputs"]["standby"]
        for key, found in stack.items()
        if key.startswith(f"{PREFIX}Process ") and found["inputs"]["name"].startswith("taskmanager-")
    }
    assert standby == {"taskmanager-1": False, "taskmanager-2": False, "taskmanager-3": True}
    assert shipped.taskmanagers_max == 3


def test_scaling_is_told_the_bounds_and_times_of_the_plan(stack: Registered, shipped: StackPlan) -> None:
    (told,) = _process(stack, "scaling")["files"].values()
    orders = Orders.model_validate_json(told)
    assert orders.times == shipped.scaling
    assert [(each.agent, each.least, each.most) for each in orders.agents] == [
        ("support-triage", 1, 4),
        ("order-risk", 1, 2),
    ]
    assert orders.metrics_ports == shipped.ports.taskmanager_metrics
    assert (orders.taskmanagers, orders.slots) == (2, 2)


def test_every_port_of_the_plan_is_guarded_by_the_process_that_listens_on_it(
    stack: Registered, shipped: StackPlan
) -> None:
    guarded = [
        port
        for key, found in stack.items()
        if key.startswith(f"{PREFIX}Process ")
        for port in found["inputs"]["ports"].values()
    ]
    planned: list[int] = []
    for _, value in shipped.ports:
        planned += value if isinstance(value, tuple) else [value]
    assert sorted(guarded) == sorted(planned)


def _process(stack: Registered, name: str) -> dict[str, Any]:
    inputs: dict[str, Any] = stack[f"{PREFIX}Process {name}"]["inputs"]
    return inputs


def _parent_of_package(package: str) -> str:
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    return str(Path(found.origin).parents[1])
