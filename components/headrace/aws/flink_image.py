"""Flink's version, and what the agents' image has where; pods and jobs are told by these names."""

from __future__ import annotations

FLINK_VERSION = "2.3.0"
DECLARED_AS = "v2_2"
"""What a deployment calls it: the newest that release 1.15 of the operator takes, which runs 2.3 (tried)."""
OPERATOR_VERSION = "1.15.0"

USER = 9999
"""Flink's own, in the image too."""
PYTHON = "/usr/local/bin/python"
PYTHON_JAR = f"local:///opt/flink/opt/flink-python-{FLINK_VERSION}.jar"
PYTHON_DRIVER = "org.apache.flink.client.python.PythonDriver"
JOB_MODULE = "headrace_agents.flink.job"
MAIN_CONTAINER = "flink-main-container"
"""Flink's name for it: what is said of it in a pod template goes to the container that Flink makes."""

SCRATCH, LOGS, TMP = "/data", "/opt/flink/log", "/tmp"  # noqa: S108 - a volume of the pod's own
"""Where a pod may write; all else is read-only."""
SECRETS_FOLDER = "/etc/headrace/secrets"

LOG4J = """rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.name = console
appender.console.type = Console
appender.console.layout.type = JsonTemplateLayout
appender.console.layout.eventTemplateUri = classpath:EcsLayout.json
"""
"""A line of JSON for each event, to the console alone, with names of the Elastic Common Schema."""
