"""How this substrate starts Java programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from headrace.toolchain.jdk import java

LOG4J = "log4j2.properties"

LOG4J_CONSOLE = """rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.name = console
appender.console.type = Console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %-5p %c - %m%n
"""
"""To the console only: the supervisor keeps and rotates what is printed there."""


def java_command(
    main_class: str,
    classpath: str,
    heap_mib: int,
    arguments: tuple[str, ...],
    *,
    log4j: Path | None = None,
    logback: Path | None = None,
) -> tuple[str, ...]:
    logging = [f"-Dlog4j2.configurationFile=file:{log4j}"] if log4j else []
    logging += [f"-Dlogback.configurationFile={logback}"] if logback else []
    return (
        java(),
        f"-Xms{heap_mib // 2}m",
        f"-Xmx{heap_mib}m",
        "-XX:+UseSerialGC",  # the collector for small heaps on few cores
        "-XX:+ExitOnOutOfMemoryError",  # half-dead is worse than restarted
        *logging,
        "-cp",
        classpath,
        main_class,
        *arguments,
    )


def properties(settings: Mapping[str, str]) -> str:
    """A Java properties file; backslashes escaped as its format wants it."""
    lines = [f"{key}={value.replace(chr(92), chr(92) * 2)}" for key, value in sorted(settings.items())]
    return "\n".join(lines) + "\n"
