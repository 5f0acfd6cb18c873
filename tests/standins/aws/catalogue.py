"""Every type that the stand-in knows, and what is behind it.

``moto``: each call goes to moto, so that what is changed behind the engine's back is seen. ``record``: moto
has no call for it, or not all; what was asked for is kept in a file, and nothing else is behind it. Inputs
that a kind's `read` does not return are not looked at: they are as they were asked for.
"""

from __future__ import annotations

from tests.standins.aws.buckets import BUCKETS
from tests.standins.aws.identity import IDENTITY
from tests.standins.aws.kind import Kind
from tests.standins.aws.network import NETWORK
from tests.standins.aws.platform import PLATFORM
from tests.standins.aws.watching import WATCHING

KINDS: dict[str, Kind] = {kind.token: kind for kind in (*NETWORK, *BUCKETS, *IDENTITY, *WATCHING, *PLATFORM)}

RECORDED = frozenset(
    {
        "aws:amp/alertManagerDefinition:AlertManagerDefinition",
        "aws:amp/scraper:Scraper",
        "aws:codebuild/project:Project",
        "aws:eks/accessEntry:AccessEntry",
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        "aws:msk/configuration:Configuration",
        "aws:msk/topic:Topic",
        "aws:mskconnect/connector:Connector",
        "aws:mskconnect/customPlugin:CustomPlugin",
        "aws:mskconnect/workerConfiguration:WorkerConfiguration",
    }
)
"""All that is behind these is a record; all others are moto's. A test holds the kinds to this list."""

RECORDED_BESIDE = {"aws:eks/cluster:Cluster": ("accessConfig", "computeConfig")}
"""Inputs of moto's kinds that moto lacks, and a record holds: functions answer from it."""
