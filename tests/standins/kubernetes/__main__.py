"""The plugin `pulumi-resource-kubernetes`."""

from __future__ import annotations

from tests.standins.kubernetes.provider import KubernetesStandIn
from tests.standins.place import Place
from tests.standins.protocol import serve

serve(KubernetesStandIn(Place.from_environment()))
