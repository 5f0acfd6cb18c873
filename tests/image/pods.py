"""A deployment's pods, as far as one machine can be a node: a container is started as its template says."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.aws.flink_deployment import JOBMANAGER, TASKMANAGER
from headrace.aws.pods import SECURED
from tests.image.container import Container, Volume
from tests.pipeline.deployment import Deployment

TEMPLATES = {JOBMANAGER: "jobManager", TASKMANAGER: "taskManager"}
CONF = "/opt/flink/conf"
"""Where Flink mounts its configuration."""
MODEL_KEY = "no key of anybody"


@dataclass(frozen=True)
class Pods:
    image: Container
    deployment: Deployment
    folder: Path
    """For what a node has of its pods: files of volumes, and logs."""

    def start(self, role: str) -> subprocess.Popen[bytes]:
        template = self.deployment.spec[TEMPLATES[role]]["podTemplate"]["spec"]
        (container,) = template["containers"]
        user, given = self.image.config["User"], template["securityContext"]
        assert (f"{given['runAsUser']}:{given['runAsGroup']}", given["fsGroup"]) == (
            user,
            given["runAsGroup"],
        )
        assert container["securityContext"] == SECURED, "what a Container is"
        configuration = self.deployment.files(self.deployment.configuration(role))
        conf = Volume(CONF, self._files(role, "conf", configuration))
        volumes = {volume["name"]: volume for volume in template["volumes"]}
        mounted = [
            Volume(mount["mountPath"], self._content(role, volumes[mount["name"]]))
            for mount in container["volumeMounts"]
        ]
        environment = {each["name"]: each["value"] for each in container["env"]}
        made = Container(self.image.root, self.image.config, (*mounted, conf), environment)
        with (self.folder / f"{role}.log").open("wb") as log:
            return made.start(self.deployment.command(role), log)

    def _content(self, role: str, volume: Mapping[str, Any]) -> Path | None:
        """What Kubernetes puts into a volume; None for an empty one."""
        if "emptyDir" in volume:
            return None
        if "downwardAPI" in volume:
            (item,) = volume["downwardAPI"]["items"]
            content = self.deployment.job.model_dump_json()
        else:
            (item,), content = volume["secret"]["items"], MODEL_KEY
        return self._files(role, volume["name"], {item["path"]: content})

    def _files(self, role: str, volume: str, files: Mapping[str, str]) -> Path:
        folder = self.folder / role / volume
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / name).write_text(content)
        return folder
