"""A namespace of a Kubernetes cluster, by the API that a kubeconfig names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

import yaml

from headrace.errors import HeadraceError
from headrace.provider.aws.agents.deployment import GROUP, VERSION

MANAGER = "headrace"
"""Who these changes are of, to Kubernetes."""
DEPLOYMENTS, SNAPSHOTS = "flinkdeployments", "flinkstatesnapshots"
TIMEOUT_S = 30
NOT_FOUND, CONFLICT, TOO_MANY, FAULTS = 404, 409, 429, 500
_AS_IT_IS: Mapping[str, Any] = {"_request_timeout": TIMEOUT_S, "_preload_content": False}
"""Of a call: the answer's text, and no objects of the client's."""

Object = dict[str, Any]


class Unreachable(HeadraceError):
    """The API server does not answer, or can't now."""


class Conflict(HeadraceError):
    """The object is not the one any more that was read."""


class Missing(HeadraceError):
    """There is no such object."""


class Cluster:
    """What an upgrade needs of it. Every call raises Unreachable, and HeadraceError where it is refused."""

    def __init__(self, kubeconfig: str, namespace: str) -> None:
        self._kubeconfig, self._namespace = kubeconfig, namespace

    def deployment(self, name: str) -> Object | None:
        return self._custom(DEPLOYMENTS, name)

    def replace_deployment(self, changed: Object) -> Object:
        """All of it, where nobody has changed it since it was read."""
        with _asked(f"deployment {changed['metadata']['name']} can't be changed"):
            made: Object = self._objects.replace_namespaced_custom_object(
                *self._kind(DEPLOYMENTS),
                name=changed["metadata"]["name"],
                body=changed,
                field_manager=MANAGER,
                _request_timeout=TIMEOUT_S,
            )
        return made

    def snapshot(self, name: str) -> Object | None:
        return self._custom(SNAPSHOTS, name)

    def snapshots(self, labels: Mapping[str, str]) -> list[str]:
        """Their names."""
        with _asked("snapshots can't be read"):
            found: Object = self._objects.list_namespaced_custom_object(
                *self._kind(SNAPSHOTS), label_selector=_selector(labels), _request_timeout=TIMEOUT_S
            )
        return [each["metadata"]["name"] for each in found["items"]]

    def make_snapshot(self, body: Object) -> None:
        with _asked("a savepoint can't be asked for"):
            self._objects.create_namespaced_custom_object(
                *self._kind(SNAPSHOTS), body=body, field_manager=MANAGER, _request_timeout=TIMEOUT_S
            )

    def remove_snapshot(self, name: str) -> None:
        with suppress(Missing), _asked(f"snapshot {name} can't be removed"):
            self._objects.delete_namespaced_custom_object(
                *self._kind(SNAPSHOTS), name=name, _request_timeout=TIMEOUT_S
            )

    def make_job(self, body: Object) -> str:
        """Its name."""
        with _asked("a pod beside the job can't be made"):
            made = self._jobs.create_namespaced_job(
                self._namespace, body, field_manager=MANAGER, _request_timeout=TIMEOUT_S
            )
        return str(made.metadata.name)

    def remove_job(self, name: str) -> None:
        with suppress(Missing), _asked(f"job {name} can't be removed"):
            self._jobs.delete_namespaced_job(
                name, self._namespace, propagation_policy="Background", _request_timeout=TIMEOUT_S
            )

    def pods_of(self, job: str) -> list[Object]:
        """Newest first."""
        with _asked(f"the pods of job {job} can't be read"):
            found = self._core.list_namespaced_pod(
                self._namespace, label_selector=f"job-name={job}", **_AS_IT_IS
            )
        return sorted(_items(found), key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True)

    def log(self, pod: str, lines: int) -> list[str]:
        """The last lines of what its container has said, each after the time at which it did."""
        with _asked(f"what pod {pod} said can't be read"):
            answer = self._core.read_namespaced_pod_log(
                pod,
                self._namespace,
                tail_lines=lines,
                timestamps=True,
                **_AS_IT_IS,
            )
        return bytes(answer.data).decode(errors="replace").splitlines()

    def config_maps(self, labels: Mapping[str, str | None]) -> list[Object]:
        """With these labels; None stands for whatever value."""
        with _asked("what is written down of upgrades can't be read"):
            found = self._core.list_namespaced_config_map(
                self._namespace, label_selector=_selector(labels), **_AS_IT_IS
            )
        return _items(found)

    def write_config_map(self, name: str, labels: Mapping[str, str], data: Mapping[str, str]) -> None:
        """Make it, or take its place."""
        body = {"metadata": {"name": name, "labels": dict(labels)}, "data": dict(data)}
        written = {"field_manager": MANAGER, "_request_timeout": TIMEOUT_S}
        with _asked(f"ConfigMap {name} can't be written"):
            there = self._core.list_namespaced_config_map(
                self._namespace, field_selector=f"metadata.name={name}", **_AS_IT_IS
            )
            if _items(there):
                self._core.replace_namespaced_config_map(name, self._namespace, body, **written)
            else:
                self._core.create_namespaced_config_map(self._namespace, body, **written)

    def remove_config_map(self, name: str) -> None:
        with suppress(Missing), _asked(f"ConfigMap {name} can't be removed"):
            self._core.delete_namespaced_config_map(name, self._namespace, _request_timeout=TIMEOUT_S)

    def _custom(self, plural: str, name: str) -> Object | None:
        try:
            with _asked(f"{plural} {name} can't be read"):
                found: Object = self._objects.get_namespaced_custom_object(
                    *self._kind(plural), name=name, _request_timeout=TIMEOUT_S
                )
        except Missing:
            return None
        return found

    def _kind(self, plural: str) -> tuple[str, str, str, str]:
        return GROUP, VERSION, self._namespace, plural

    @cached_property
    def _api(self) -> Any:
        # Its import takes a second, which most of the engine's commands have no use for.
        from kubernetes import config  # noqa: PLC0415

        try:
            connect: Any = config.new_client_from_config_dict
            return connect(yaml.safe_load(self._kubeconfig))
        except (config.ConfigException, yaml.YAMLError) as error:
            raise HeadraceError(f"the cluster's kubeconfig can't be used: {error}") from error

    @cached_property
    def _objects(self) -> Any:
        from kubernetes import client  # noqa: PLC0415

        return client.CustomObjectsApi(self._api)

    @cached_property
    def _core(self) -> Any:
        from kubernetes import client  # noqa: PLC0415

        return client.CoreV1Api(self._api)

    @cached_property
    def _jobs(self) -> Any:
        from kubernetes import client  # noqa: PLC0415

        return client.BatchV1Api(self._api)


def _selector(labels: Mapping[str, str | None] | Mapping[str, str]) -> str:
    return ",".join(name if value is None else f"{name}={value}" for name, value in labels.items())


def _items(answer: Any) -> list[Object]:
    return list(json.loads(answer.data)["items"])


@contextmanager
def _asked(what: str) -> Iterator[None]:
    """An error of the client's is one for a person, which begins with `what`."""
    import urllib3  # noqa: PLC0415
    from kubernetes.client import ApiException  # noqa: PLC0415

    try:
        yield
    except ApiException as error:
        told = f"{what}: {error.status} {error.reason} {str(error.body or '')[:1000]}"
        raise _kind_of(error.status)(told) from error
    except urllib3.exceptions.HTTPError as error:
        raise Unreachable(f"{what}: the cluster's API does not answer: {error}") from error


def _kind_of(status: int) -> type[HeadraceError]:
    if status in (NOT_FOUND, CONFLICT):
        return Missing if status == NOT_FOUND else Conflict
    return Unreachable if status in (0, TOO_MANY) or status >= FAULTS else HeadraceError
