"""Prometheus on this machine, where it is installed: scrapes Flink's processes."""

from __future__ import annotations

import pulumi
import yaml

from headrace.capture.watched import alert_rules
from headrace.local.context import HOST, LocalContext, process
from headrace.local.provider.process import ProcessInputs, Readiness
from headrace.plan.metric_names import HELD, RECORDED, RECORDING_GROUP, RELABELLED
from headrace.plan.model import Ports

NAME = "prometheus"
CONFIG, RULES = "prometheus.yml", "rules.yml"
CAPTURE, AGENTS = "capture", "agents"
SCRAPE_INTERVAL = "5s"
RETENTION = "7d"


class Prometheus(pulumi.ComponentResource):
    def __init__(self, context: LocalContext, executable: str, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:local:Prometheus", NAME, None, opts)
        ports, files = context.plan.ports, context.files
        self.process = process(
            ProcessInputs(
                root=context.root,
                name=NAME,
                command=(
                    executable,
                    f"--config.file={files.etc(NAME) / CONFIG}",
                    f"--storage.tsdb.path={files.data(NAME)}",
                    f"--storage.tsdb.retention.time={RETENTION}",
                    f"--web.listen-address={HOST}:{ports.prometheus}",
                ),
                files=configuration(ports),
                folders=(str(files.data(NAME)),),
                ports={"Prometheus": ports.prometheus},
                ready=Readiness(port=ports.prometheus, url=f"http://{HOST}:{ports.prometheus}/-/ready"),
            ),
            parent=self,
        )
        self.register_outputs({"endpoint": f"http://{HOST}:{ports.prometheus}"})


def configuration(ports: Ports) -> dict[str, str]:
    """Files by name: what is scraped and recorded of the Flink at these ports."""
    targets = [f"{HOST}:{port}" for port in (ports.jobmanager_metrics, *ports.taskmanager_metrics)]
    flink = {
        "job_name": "flink",
        "static_configs": [{"targets": targets}],
        "metric_relabel_configs": RELABELLED,
    }
    capture = {
        "job_name": CAPTURE,
        "static_configs": [{"targets": [f"{HOST}:{ports.capture_metrics}"]}],
    }
    config = {
        "global": {"scrape_interval": SCRAPE_INTERVAL, "evaluation_interval": SCRAPE_INTERVAL},
        "rule_files": [RULES],
        "scrape_configs": [flink, capture],
    }
    groups = {RECORDING_GROUP: RECORDED, CAPTURE: alert_rules(), AGENTS: [HELD]}
    rules = {"groups": [{"name": name, "rules": rules} for name, rules in groups.items()]}
    return {CONFIG: yaml.safe_dump(config), RULES: yaml.safe_dump(rules)}
