"""The provider's resource kinds as Pulumi resources, one class each.

Inputs are the provider's own models (`headrace.local.provider`): one definition, checked on both sides.
"""

from __future__ import annotations

from typing import ClassVar

import pulumi

from headrace.local.provider import PACKAGE
from headrace.provider.resource import Inputs


class LocalResource(pulumi.CustomResource):
    """A resource of the provider `headrace-local`."""

    kind: ClassVar[str]

    def __init__(self, name: str, inputs: Inputs, opts: pulumi.ResourceOptions) -> None:
        properties = inputs.model_dump(mode="json")
        super().__init__(f"{PACKAGE}:index:{self.kind}", name, properties, opts)


class SupervisorResource(LocalResource):
    kind = "Supervisor"


class ProcessResource(LocalResource):
    kind = "Process"


class DatabaseResource(LocalResource):
    kind = "Database"


class PublicationResource(LocalResource):
    kind = "Publication"


class SlotResource(LocalResource):
    kind = "Slot"


class PreflightResource(LocalResource):
    kind = "Preflight"


class TopicResource(LocalResource):
    kind = "Topic"


class BucketResource(LocalResource):
    kind = "Bucket"


class ConnectorResource(LocalResource):
    kind = "Connector"


class BackfillResource(LocalResource):
    kind = "Backfill"


class AgentJobResource(LocalResource):
    kind = "AgentJob"


class RosterResource(LocalResource):
    kind = "Roster"
