"""What a person declares: the declaration, the two ways in, and the error that refuses it.

Nothing here knows the plan or a substrate.
"""

from __future__ import annotations

from headrace.environment.duration import Duration
from headrace.environment.loading import CONFIG_KEY, load_environment, parse_environment
from headrace.environment.model import Agent, Environment, Model, Source, Table
from headrace.environment.problem import DeclarationError, Problem

__all__ = [
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
]
