"""The watch of slots: a pod for each source, with one secret, two ways out, and alerts on what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pulumi_aws as aws
import yaml

from headrace.aws import Observability, SourceDatabase, WatchedSlot
from headrace.aws.alert_rules import CAPTURE_GROUP, alert_rules
from headrace.aws.scraping import scrape_configuration
from headrace.aws.slot_watch_config import METRICS_PORT, slot_watch_config
from headrace.capture import watched
from headrace.plan.model import PostgresqlSourcePlan
from tests.components.aws.cloud import ACCOUNT, REGION, built, inputs, kinds, statements
from tests.components.aws.managed import stack_of
from tests.components.aws.planned import planned
from tests.components.aws.test_alert_rules import needs_promtool, promtool
from tests.components.aws.test_observability import IMAGE, arguments
from tests.components.recording import Registered

(SOURCE,) = cast("tuple[PostgresqlSourcePlan]", planned().sources)
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:dev/support-AbCdEf"
DATABASE = SourceDatabase(
    host="db.example",
    port=5433,
    security_group_id="sg-db",
    secret_arn=SECRET,
    secret_key_arn=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1",
)
WATCH = f"dev-{SOURCE.name}-slot-watch"
CALLED = f"slot-watch-{SOURCE.name}"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
CONNECTOR = "aws:mskconnect/connector:Connector"
IN_STACK = "prod-support-slot-watch"


def watching() -> Registered:
    def program() -> None:
        connector = aws.mskconnect.Connector.get("own-connector", "own-connector")
        slot = WatchedSlot(
            source=SOURCE,
            database=DATABASE,
            node_pool="jobmanagers",
            scraper_cidrs=["10.0.1.0/24"],
            connector=connector,
        )
        Observability("dev", arguments(slots=[slot]))

    return built(program)


def config() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(slot_watch_config(SOURCE, "db.example", 5433, SECRET))
    return found


def test_the_password_is_a_reference_and_every_metric_of_a_slot_has_its_column() -> None:
    asking = config()["receivers"]["sqlquery"]
    assert asking["datasource"] == (
        f"host=db.example port=5433 dbname={SOURCE.database} user={SOURCE.slot}"
        f" password='${{secretsmanager:{SECRET}#password}}' sslmode=require connect_timeout=5"
    )
    told = {metric["metric_name"]: metric for query in asking["queries"] for metric in query["metrics"]}
    assert told.keys() == {
        each.name
        for each in (
            watched.SLOT_ACTIVE,
            watched.SLOT_LOST,
            watched.SLOT_LAG,
            watched.SLOT_KEPT,
            watched.SLOT_CAP,
        )
    }
    assert all(each["static_attributes"] == {"source": SOURCE.name} for each in told.values())
    assert all(f"'{SOURCE.slot}'" in query["sql"] for query in asking["queries"])


def test_its_role_may_read_the_secret_of_its_source_and_nothing_else() -> None:
    reading, opening = statements(inputs(watching(), "aws:iam/rolePolicy:RolePolicy", WATCH)["policy"])
    assert (reading["Action"], reading["Resource"]) == (["secretsmanager:GetSecretValue"], [SECRET])
    assert (opening["Action"], opening["Resource"]) == (["kms:Decrypt"], [DATABASE.secret_key_arn])
    assert "secretsmanager" in opening["Condition"]["StringLike"]["kms:ViaService"]
    identity = inputs(watching(), "aws:eks/podIdentityAssociation:PodIdentityAssociation", WATCH)
    assert identity["serviceAccount"] == CALLED


def test_the_scraper_alone_comes_in_and_it_goes_out_to_the_databases_port_and_aws() -> None:
    stack = watching()
    policy = inputs(stack, "kubernetes:networking.k8s.io/v1:NetworkPolicy", WATCH)["spec"]
    (way_in,) = policy["ingress"]
    assert way_in["from"] == [{"ipBlock": {"cidr": "10.0.1.0/24"}}]
    assert [each["port"] for each in way_in["ports"]] == [METRICS_PORT]
    ports = {each["port"] for rule in policy["egress"] for each in rule["ports"]}
    assert ports == {53, 80, 443, 5433}
    labels = inputs(stack, DEPLOYMENT, WATCH)["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"] == labels


def test_its_pod_is_restricted_has_no_token_and_waits_for_the_connector() -> None:
    stack = watching()
    pod = inputs(stack, DEPLOYMENT, WATCH)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == IMAGE
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    assert pod["serviceAccountName"] == CALLED
    assert {WATCH, "own-connector"} <= set(stack[f"{DEPLOYMENT} {WATCH}"]["depends_on"])
    assert "password" not in json.dumps(pod)


def test_a_stack_watches_the_slot_of_each_source_after_its_connector() -> None:
    stack = stack_of("prod")
    assert f"{DEPLOYMENT} {IN_STACK}" in stack
    assert "prod-support" in stack[f"{DEPLOYMENT} {IN_STACK}"]["depends_on"]
    assert kinds(stack)[CONNECTOR] == 1


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(alert_rules(planned().deployments, [SOURCE.name]))["groups"]
    found: list[dict[str, Any]] = next(each for each in groups if each["name"] == CAPTURE_GROUP)["rules"]
    return found


def test_bounds_are_those_of_the_local_substrate() -> None:
    local = {rule["alert"]: rule for rule in watched.alert_rules()}
    here = {rule["alert"]: rule for rule in rules()}
    assert here.keys() == {"SlotKeepsWal", "SlotNearItsCap", "SlotLost", "SlotUnwatched"}
    for name in here.keys() & local.keys():
        assert (here[name]["expr"], here[name]["for"]) == (local[name]["expr"], local[name]["for"])
    assert "headrace capture" not in here["SlotLost"]["annotations"]["summary"]


@needs_promtool
def test_prometheus_takes_the_rules_and_fires_where_nobody_says_how_a_slot_stands(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(alert_rules(planned().deployments, [SOURCE.name]))
    promtool("check", "rules", tmp_path / "rules.yml")
    series = {"series": f'headrace_capture_slot_lost{{source="{SOURCE.name}"}}', "values": "0x20 _x40"}
    summary = f"{SOURCE.name}: nobody says how its slot stands"
    fired = {
        "exp_labels": {"severity": "warning", "source": SOURCE.name},
        "exp_annotations": {"summary": summary},
    }
    cases = [
        {"alertname": "SlotUnwatched", "eval_time": "20m", "exp_alerts": []},
        {"alertname": "SlotUnwatched", "eval_time": "40m", "exp_alerts": [fired]},
    ]
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "30s",
        "tests": [{"interval": "1m", "input_series": [series], "alert_rule_test": cases}],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    promtool("test", "rules", tmp_path / "test.yml")


def test_the_scraper_reads_pods_that_watch_slots() -> None:
    *_, slots = yaml.safe_load(scrape_configuration("flink", "observability"))["scrape_configs"]
    assert slots["kubernetes_sd_configs"] == [{"role": "pod", "namespaces": {"names": ["observability"]}}]
    keep, address = slots["relabel_configs"]
    assert keep["regex"] == "slot-watch"
    assert address["replacement"] == f"$1:{METRICS_PORT}"
