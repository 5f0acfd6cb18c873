"""The plugin `pulumi-resource-aws`."""

from __future__ import annotations

from tests.standins.aws.provider import AwsStandIn
from tests.standins.place import Place
from tests.standins.protocol import serve

serve(AwsStandIn(Place.from_environment()))
