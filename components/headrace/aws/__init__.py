"""Component resources on AWS, each usable alone.

Sizes and settings come from the plan (`headrace.plan.aws`); what is here says how they are built.
"""

from headrace.aws.checkpoint_storage import CheckpointStorage, CheckpointStorageArgs
from headrace.aws.kafka import Kafka, KafkaArgs
from headrace.aws.network import ExistingNetworkArgs, Network, NetworkArgs
from headrace.aws.tags import Tags

__all__ = [
    "CheckpointStorage",
    "CheckpointStorageArgs",
    "ExistingNetworkArgs",
    "Kafka",
    "KafkaArgs",
    "Network",
    "NetworkArgs",
    "Tags",
]
