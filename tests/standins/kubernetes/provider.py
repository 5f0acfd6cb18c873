"""The provider: every object is applied to the API server, which checks it; releases are recorded.

What it does not do, and the real one does: wait until pods are ready, as there are neither nodes nor
controllers; and log in, as AWS's stand-in has no cluster behind its address. Whatever the kubeconfig names,
it is the API server of the test that is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import yaml

from tests.standins.kubernetes import release
from tests.standins.kubernetes.api import Api
from tests.standins.place import Place
from tests.standins.protocol import Asked, Checked, Refused, StandIn
from tests.standins.record import Record
from tests.standins.values import DEFAULTS, UNKNOWN, Values

RANDOM_CHARS = 8
CREDENTIALS = ("token", "password", "client-key-data", "client-key", "auth-provider")
FORCING: dict[str, tuple[str, ...]] = {
    "apps/v1:DaemonSet": ("spec.selector",),
    "core/v1:Service": ("spec.clusterIP",),
    "rbac.authorization.k8s.io/v1:RoleBinding": ("roleRef",),
    "policy/v1:PodDisruptionBudget": (),
}
"""Beside kind and name: what the API server refuses to change (source: Kubernetes' API reference)."""
IDENTITY = ("apiVersion", "kind", "metadata.name", "metadata.namespace")
RELEASE_FORCING = ("name", "namespace")


class KubernetesStandIn(StandIn):
    version = "4.34.0"

    def __init__(self, place: Place) -> None:
        self.journal = place.journal()
        self._api = Api(place)
        self._record = Record(place.record)

    def configure(self, settings: Values) -> None:
        """Takes a kubeconfig that says where a cluster is, and not how to get in."""
        text = settings.get("kubeconfig")
        if not text:
            raise Refused("the provider was given no kubeconfig")
        given = yaml.safe_load(text)
        servers = [each["cluster"]["server"] for each in given["clusters"]]
        if not all(server.startswith("https://") for server in servers):
            raise Refused("the kubeconfig names no server by https")
        for user in given.get("users", ()):
            if held := sorted(set(user["user"]) & set(CREDENTIALS)):
                raise Refused(f"the kubeconfig holds a credential: {', '.join(held)}")

    def check(self, asked: Asked, old: Values, new: Values, seed: bytes) -> Checked:
        inputs = {name: value for name, value in new.items() if name != DEFAULTS}
        if asked.type == release.TYPE:
            missing = sorted({"chart", "name", "namespace"} - inputs.keys())
            return Checked(inputs, dict.fromkeys(missing, "a release needs it"))
        failures = dict.fromkeys(sorted({"apiVersion", "kind"} - inputs.keys()), f"{asked.type} needs it")
        metadata = dict(inputs.get("metadata") or {})
        if "name" not in metadata:
            chosen = "metadata.name" in old.get(DEFAULTS, [])
            end = hashlib.sha256(seed + asked.name.encode()).hexdigest()[:RANDOM_CHARS]
            metadata["name"] = old["metadata"]["name"] if chosen else f"{asked.name}-{end}"
            inputs[DEFAULTS] = ["metadata.name"]
        inputs["metadata"] = metadata
        return Checked(inputs, failures)

    def replacing(self, asked: Asked) -> Sequence[str]:
        if asked.type == release.TYPE:
            return RELEASE_FORCING
        return (*IDENTITY, *FORCING.get(asked.type.removeprefix("kubernetes:"), ()))

    def deletes_first(self, asked: Asked, new: Values) -> bool:
        return "metadata.name" not in new.get(DEFAULTS, [])

    def expect(self, asked: Asked, new: Values, old: Values) -> Values:
        if asked.type == release.TYPE:
            return new | {"status": UNKNOWN}
        return _manifest(new) | {"status": old.get("status", UNKNOWN)}

    def create(self, asked: Asked, inputs: Values) -> tuple[str, Values]:
        if asked.type == release.TYPE:
            return release.install(self._api, self._record, inputs), release.outputs(inputs)
        manifest = _manifest(inputs)
        if self._api.get(manifest) is not None:
            raise Refused(f"{asked.type} {self._identity(inputs)} already exists")
        made = self._api.apply(manifest)
        return self._identity(inputs), made

    def read(self, asked: Asked, inputs: Values, state: Values) -> tuple[Values, Values] | None:
        if asked.type == release.TYPE:
            found = self._record.get(release.TYPE, asked.id)
            return None if found is None else (found, release.outputs(found))
        live = self._api.get(_manifest(inputs) if inputs else _by_id(asked))
        if live is None:
            return None
        return _drifted(inputs, state, live), live

    def update(self, asked: Asked, state: Values, new: Values) -> Values:
        if asked.type == release.TYPE:
            release.upgrade(self._record, asked.id, new)
            return release.outputs(new)
        return self._api.apply(_manifest(new))

    def delete(self, asked: Asked, state: Values) -> None:
        if asked.type == release.TYPE:
            self._record.remove(release.TYPE, asked.id)
        else:
            self._api.delete(state)

    def _identity(self, inputs: Values) -> str:
        name: str = inputs["metadata"]["name"]
        if not self._api.namespaced(_manifest(inputs)):
            return name
        return f"{inputs['metadata'].get('namespace', 'default')}/{name}"


def _by_id(asked: Asked) -> Values:
    """Of one that the stack did not make: ``kubernetes:core/v1:ConfigMap`` and ``NAMESPACE/NAME``."""
    _, version, kind = asked.type.split(":")
    space, _, name = asked.id.rpartition("/")
    metadata = {"name": name, "namespace": space} if space else {"name": name}
    return {"apiVersion": version.removeprefix("core/"), "kind": kind, "metadata": metadata}


def _manifest(inputs: Values) -> Values:
    return {name: value for name, value in inputs.items() if name != DEFAULTS}


def _drifted(declared: Any, applied: Any, live: Any) -> Any:
    """What was declared; where `live` is no longer as it was when it was applied, what it is now.

    The server writes some values its own way (`1024Mi` as `1Gi`), so what is there is compared with what was
    there, and not with the declaration.
    """
    if isinstance(declared, dict) and isinstance(applied, dict) and isinstance(live, dict):
        return {
            name: _drifted(value, applied.get(name), live.get(name))
            for name, value in declared.items()
            if name == DEFAULTS or name in live or name not in applied
        }
    if isinstance(declared, list) and isinstance(applied, list) and isinstance(live, list):
        if len(declared) == len(applied) == len(live):
            return [_drifted(*each) for each in zip(declared, applied, live, strict=True)]
        return declared if len(applied) == len(live) else live
    return declared if applied == live else live
