"""What each package offers: a name that comes or goes is a change that users see, for the changelog."""

from __future__ import annotations

import importlib
import types

import pytest

PUBLIC = {
    "headrace.environment": {
        "CONFIG_KEY",
        "Agent",
        "DeclarationError",
        "Duration",
        "Environment",
        "Model",
        "Problem",
        "Source",
        "Table",
        "load_environment",
        "parse_environment",
    },
    "headrace.plan": {"AwsPlan", "StackPlan", "plan", "plan_of"},
    "headrace.plan.aws": {"AwsPlan", "aws_plan"},
    "headrace.aws": {
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
    },
    "headrace.local": {"LocalStack", "StackFiles"},
    "headrace.local.provider": {"PACKAGE"},
    "headrace.operations": set[str](),
    "headrace.capture": set[str](),
    "headrace.state": set[str](),
    "headrace.commands": set[str](),
    "headrace.toolchain": {"MissingRuntime", "Runtimes"},
    "headrace_agents": {
        "Agent",
        "AgentError",
        "Answer",
        "Change",
        "Context",
        "LoopLimitError",
        "Message",
        "ModelError",
        "ModelErrorKind",
        "NoSettings",
        "Operation",
        "Position",
        "Reminder",
        "Reply",
        "RunModel",
        "ToolCall",
        "ToolError",
        "Usage",
        "beside",
        "migrates",
        "on",
        "on_answer",
        "on_reminder",
        "takes",
    },
}


@pytest.mark.parametrize("package", PUBLIC)
def test_a_package_offers_what_was_agreed(package: str) -> None:
    module = importlib.import_module(package)
    assert set(module.__all__) == PUBLIC[package]
    assert all(hasattr(module, name) for name in module.__all__)
    assert module.__doc__


@pytest.mark.parametrize("package", PUBLIC)
def test_public_names_are_given_once_and_are_no_modules(package: str) -> None:
    module = importlib.import_module(package)
    assert len(set(module.__all__)) == len(module.__all__)
    assert not any(isinstance(getattr(module, name), types.ModuleType) for name in module.__all__)
