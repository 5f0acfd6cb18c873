"""The program: one environment's declaration, its plan, and what the plan is built of."""

from __future__ import annotations

import signal
from pathlib import Path

import pulumi

from headrace.environment import parse_environment
from headrace.local import LocalStack
from headrace.local.layout import stack_files
from headrace.plan import plan
from headrace.toolchain.runtimes import Runtimes

# The engine interrupts the program of an update that failed: a stack trace here would bury the reason.
signal.signal(signal.SIGINT, signal.SIG_DFL)

name = pulumi.get_stack()
declared = pulumi.Config().require_object("environment")
environment = parse_environment(declared, origin=f"Pulumi.{name}.yaml", name=name)
LocalStack(plan(environment), stack_files(environment, Path(__file__).parents[1]), Runtimes.locate())
