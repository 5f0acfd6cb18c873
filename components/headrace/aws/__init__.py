"""Component resources on AWS, each usable alone.

Sizes and settings come from the plan (`headrace.plan.aws`); what is here says how they are built.
"""

from headrace.aws.agent_image import AgentImage, AgentImageArgs
from headrace.aws.agent_rights import StateBuckets
from headrace.aws.alarms import Alarms, AlarmsArgs
from headrace.aws.change_capture import ChangeCapture, ChangeCaptureArgs, Plugin
from headrace.aws.checkpoint_storage import CheckpointStorage, CheckpointStorageArgs
from headrace.aws.cluster import Cluster
from headrace.aws.cluster_args import ClusterArgs, ExistingClusterArgs
from headrace.aws.connector import ConnectorPlace
from headrace.aws.flink_application import AgentKafka, FlinkApplication, FlinkApplicationArgs
from headrace.aws.flink_operator import FlinkOperator, FlinkOperatorArgs, SecretKey
from headrace.aws.foundation import Foundation
from headrace.aws.kafka import Kafka, KafkaArgs
from headrace.aws.managed_stack import ManagedStack, ManagedStackArgs
from headrace.aws.namespace import Namespace, NamespaceArgs
from headrace.aws.network import Network
from headrace.aws.network_args import ExistingNetworkArgs, NetworkArgs
from headrace.aws.observability import Observability, ObservabilityArgs
from headrace.aws.observed import ObservedCluster
from headrace.aws.operations import Operations, OperationsArgs
from headrace.aws.slot_watch import WatchedSlot
from headrace.aws.source_database import SourceDatabase
from headrace.aws.tags import Tags

__all__ = [
    "AgentImage",
    "AgentImageArgs",
    "AgentKafka",
    "Alarms",
    "AlarmsArgs",
    "ChangeCapture",
    "ChangeCaptureArgs",
    "CheckpointStorage",
    "CheckpointStorageArgs",
    "Cluster",
    "ClusterArgs",
    "ConnectorPlace",
    "ExistingClusterArgs",
    "ExistingNetworkArgs",
    "FlinkApplication",
    "FlinkApplicationArgs",
    "FlinkOperator",
    "FlinkOperatorArgs",
    "Foundation",
    "Kafka",
    "KafkaArgs",
    "ManagedStack",
    "ManagedStackArgs",
    "Namespace",
    "NamespaceArgs",
    "Network",
    "NetworkArgs",
    "Observability",
    "ObservabilityArgs",
    "ObservedCluster",
    "Operations",
    "OperationsArgs",
    "Plugin",
    "SecretKey",
    "SourceDatabase",
    "StateBuckets",
    "Tags",
    "WatchedSlot",
]
