"""The API server by its REST interface: server-side apply, as the real provider does it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import httpx

from headrace.waiting import wait_until
from tests.standins.place import Place
from tests.standins.protocol import Refused
from tests.standins.values import Values

MANAGER = "pulumi-kubernetes"
GONE_S = 30
DEFINITIONS = "apiextensions.k8s.io/v1"


class Api:
    """One cluster, by an administrator's token."""

    def __init__(self, place: Place) -> None:
        self._client = httpx.Client(
            base_url=place.kubernetes_endpoint,
            headers={"Authorization": f"Bearer {place.kubernetes_token}"},
            # Loopback, and a certificate that the server made for itself.
            verify=False,
            trust_env=False,
            timeout=60,
        )
        self._kinds = cache(self._discover)

    def close(self) -> None:
        self._client.close()

    def apply(self, manifest: Values) -> Values:
        """Server-side apply; fields that the server does not know are refused.

        Raises:
            Refused: with the server's words.
        """
        answer = self._client.patch(
            self.path(manifest),
            params={"fieldManager": MANAGER, "fieldValidation": "Strict", "force": "false"},
            headers={"Content-Type": "application/apply-patch+yaml"},
            content=json.dumps(manifest),
        )
        return self._answered(answer, manifest)

    def get(self, manifest: Values) -> Values | None:
        answer = self._client.get(self.path(manifest))
        return None if answer.status_code == httpx.codes.NOT_FOUND else self._answered(answer, manifest)

    def delete(self, manifest: Values) -> None:
        """Delete it, and wait until it is gone."""
        path = self.path(manifest)
        answer = self._client.delete(path, params={"propagationPolicy": "Background"})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return
        self._answered(answer, manifest)
        if manifest["kind"] == "Namespace":
            self._finalize(manifest)
        wait_until(f"{path} to be gone", lambda: self.get(manifest) is None, GONE_S)

    def merge(self, manifest: Values, change: Values) -> Values:
        """What somebody else does to it: a merge patch, as another manager."""
        answer = self._client.patch(
            self.path(manifest),
            params={"fieldManager": "somebody-else"},
            headers={"Content-Type": "application/merge-patch+json"},
            content=json.dumps(change),
        )
        return self._answered(answer, manifest)

    def change_status(self, manifest: Values, status: Values) -> Values:
        """What a controller says of it."""
        answer = self._client.patch(
            f"{self.path(manifest)}/status",
            params={"fieldManager": "a-controller"},
            headers={"Content-Type": "application/merge-patch+json"},
            content=json.dumps({"status": status}),
        )
        return self._answered(answer, manifest)

    def remove_now(self, manifest: Values) -> None:
        """Without waiting for whoever would end it; fine where it is gone."""
        self._client.delete(self.path(manifest), params={"gracePeriodSeconds": "0"})

    def serves(self, group_version: str, kind: str) -> bool:
        return kind in self._discover(group_version)

    def all(self, group_version: str, kind: str) -> list[Values]:
        """Of every namespace."""
        plural, _ = self._kinds(group_version)[kind]
        items: list[Values] = self._client.get(f"{_base(group_version)}/{plural}").json()["items"]
        return [{"apiVersion": group_version, "kind": kind, **item} for item in items]

    def define(self, definition: Values) -> None:
        """Install a custom resource definition, and wait until its resources can be made."""
        self.apply(definition)
        spec = definition["spec"]

        def served() -> bool:
            # What is listed in discovery may not answer yet.
            kinds = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
            return self._client.get(kinds).is_success

        wait_until(definition["metadata"]["name"], served, GONE_S)
        self._kinds.cache_clear()

    def path(self, manifest: Values) -> str:
        """Of the object.

        Raises:
            Refused: the cluster has no such kind.
        """
        group_version, kind = manifest["apiVersion"], manifest["kind"]
        found = self._kinds(group_version).get(kind)
        if found is None:
            self._kinds.cache_clear()
            found = self._kinds(group_version).get(kind)
        if found is None:
            raise Refused(f'no matches for kind "{kind}" in version "{group_version}"')
        plural, namespaced = found
        name, space = manifest["metadata"]["name"], manifest["metadata"].get("namespace", "default")
        within = f"/namespaces/{space}" if namespaced else ""
        return f"{_base(group_version)}{within}/{plural}/{name}"

    def namespaced(self, manifest: Values) -> bool:
        return "/namespaces/" in self.path(manifest) and manifest["kind"] != "Namespace"

    def _discover(self, group_version: str) -> dict[str, tuple[str, bool]]:
        """By kind: its name in paths, and whether it is in namespaces."""
        answer = self._client.get(_base(group_version))
        if answer.status_code == httpx.codes.NOT_FOUND:
            return {}
        answer.raise_for_status()
        return {
            each["kind"]: (each["name"], each["namespaced"])
            for each in answer.json()["resources"]
            if "/" not in each["name"]
        }

    def _finalize(self, manifest: Values) -> None:
        """What the controller of namespaces would do: there is none here, and what was in it is gone."""
        found = self.get(manifest)
        if found is not None:
            body = found | {"spec": {"finalizers": []}}
            self._client.put(f"{self.path(manifest)}/finalize", json=body)

    @staticmethod
    def _answered(answer: httpx.Response, manifest: Values) -> Values:
        found: Values = answer.json()
        if not answer.is_success:
            name = f"{manifest['kind']} {manifest['metadata']['name']}"
            raise Refused(f"{name}: {found.get('message', answer.text)}")
        found.get("metadata", {}).pop("managedFields", None)
        return found


def _base(group_version: str) -> str:
    return f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"


def of(kind: str, name: str, group_version: str = "v1", namespace: str | None = None) -> dict[str, Any]:
    """What names an object."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": group_version, "kind": kind, "metadata": metadata}
