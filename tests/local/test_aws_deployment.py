"""What AWS would start of an agent starts here, but for places, and decides as the stack's own agent does."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from headrace.provider.aws.agents.deployment import JOB_FILE
from headrace.toolchain.runtimes import Runtimes
from tests.pipeline.deployment import JOB, Decisions, Deployment, Ports
from tests.pipeline.plugin import Pipeline
from tests.pipeline.sizes import in_test_local_at_full_size
from tests.unit.plan.substrate_options import OF_THE_BUCKETS, OF_THE_IMAGE, OF_THE_PLACE

ENVIRONMENT, AGENT = "dev", "support-triage"
PORT_BASE = 27400
CUSTOMER = 9_001
DECIDED_TIMEOUT_S = 60
MIB = 1024 * 1024


class ThisMachine:
    """Where the image has its Python and a pod its volumes: the agents' environment, and a folder."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self._deployment, self._folder, self._runtimes = deployment, folder, Runtimes.locate()
        key = folder / "model-key"
        key.write_text("no key of anybody")
        model = deployment.job.model
        assert model is not None
        spec = deployment.job.model_copy(
            update={"model": model.model_copy(update={"api_key_file": str(key)})}
        )
        (folder / JOB_FILE).write_text(spec.model_dump_json())

    def configuration(self, role: str) -> dict[str, str]:
        python, scratch = str(self._runtimes.agents_python), self._folder / role / "data"
        scratch.mkdir(parents=True, exist_ok=True)
        of_the_image = dict.fromkeys(OF_THE_IMAGE, python) | {"io.tmp.dirs": str(scratch)}
        return self._deployment.configuration(role) | of_the_image

    def start(self, role: str) -> subprocess.Popen[bytes]:
        flink, conf = self._runtimes.flink, self._folder / role / "conf"
        conf.mkdir(parents=True)
        for name, text in self._deployment.files(self.configuration(role)).items():
            (conf / name).write_text(text)
        program, *arguments = self._deployment.command(role)
        job = str(self._folder / JOB_FILE)
        command = [str(flink / "bin" / program), *(job if each == JOB else each for each in arguments)]
        folders = dict.fromkeys(("FLINK_LOG_DIR", "FLINK_PID_DIR"), str(conf.parent))
        environment = os.environ | folders | {"FLINK_HOME": str(flink), "FLINK_CONF_DIR": str(conf)}
        with (self._folder / f"{role}.log").open("wb") as log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)


@in_test_local_at_full_size("that the configuration for AWS starts Flink here")
def test_the_configuration_for_aws_starts_flink_and_the_agent_decides_as_here(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    deployment = Deployment(pipeline.stack, ENVIRONMENT, AGENT, Ports.above(PORT_BASE))
    here = ThisMachine(deployment, tmp_path)
    with deployment.running(here.start, tmp_path), Decisions.of(deployment) as decisions:
        pipeline.load.insert(3, customer=CUSTOMER)
        decisions.alike({"customer_id": CUSTOMER}, 3, DECIDED_TIMEOUT_S)
        told = deployment.told()
    rendered = deployment.spec["flinkConfiguration"]
    kept = {option: value for option, value in rendered.items() if not is_replaced(option)}
    assert {
        option: value for option, value in kept.items() if told[option] not in (value, in_bytes(value))
    } == {}
    assert kept.keys() > {"taskmanager.memory.process.size", "job.autoscaler.enabled", "heartbeat.timeout"}


def in_bytes(value: str) -> str:
    """As Flink's start scripts say a size in MiB again to the process; another value stays."""
    size = re.fullmatch(r"(\d+)m", value)
    return f"{int(size[1]) * MIB}b" if size else value


def is_replaced(option: str) -> bool:
    return bool(OF_THE_PLACE.fullmatch(option)) or option in OF_THE_BUCKETS | OF_THE_IMAGE
