"""Prometheus on this machine, where it is installed: scrapes Flink's processes."""

from __future__ import annotations

import pulumi
import yaml

from headrace.local.context import HOST, LocalContext, process
from headrace.local.provider.process import ProcessInputs, Readiness

NAME = "prometheus"
SCRAPE_INTERVAL = "5s"
RETENTION = "7d"


class Prometheus(pulumi.ComponentResource):
    def __init__(self, context: LocalContext, executable: str, opts: pulumi.ResourceOptions) -> None:
        super().__init__("headrace:local:Prometheus", NAME, None, opts)
        ports, files = context.plan.ports, context.files
        targets = [f"{HOST}:{port}" for port in (ports.jobmanager_metrics, *ports.taskmanager_metrics)]
        config = {
            "global": {"scrape_interval": SCRAPE_INTERVAL},
            "scrape_configs": [{"job_name": "flink", "static_configs": [{"targets": targets}]}],
        }
        self.process = process(
            ProcessInputs(
                root=context.root,
                name=NAME,
                command=(
                    executable,
                    f"--config.file={files.etc(NAME) / 'prometheus.yml'}",
                    f"--storage.tsdb.path={files.data(NAME)}",
                    f"--storage.tsdb.retention.time={RETENTION}",
                    f"--web.listen-address={HOST}:{ports.prometheus}",
                ),
                files={"prometheus.yml": yaml.safe_dump(config)},
                folders=(str(files.data(NAME)),),
                ports={"Prometheus": ports.prometheus},
                ready=Readiness(port=ports.prometheus, url=f"http://{HOST}:{ports.prometheus}/-/ready"),
            ),
            parent=self,
        )
        self.register_outputs({"endpoint": f"http://{HOST}:{ports.prometheus}"})
