"""The program: one environment's declaration, its plan, and what the plan is built of."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pulumi

from headrace.agents_fit import fitting
from headrace.aws import Foundation, ManagedStack, ManagedStackArgs
from headrace.aws.operations import INSIDE
from headrace.environment import load_environment, parse_environment
from headrace.local import LocalStack
from headrace.local.layout import stack_files
from headrace.plan import AwsPlan, plan_of
from headrace.plan.aws import aws_plan
from headrace.toolchain.environments import AGENTS
from headrace.toolchain.runtimes import Runtimes

# The engine interrupts the program of an update that failed: a stack trace here would bury the reason.
signal.signal(signal.SIGINT, signal.SIG_DFL)

stacks, name, config = Path(__file__).parent, pulumi.get_stack(), pulumi.Config()
outputs: dict[str, Any] = {}
if of := config.get("foundationOf"):
    outputs = Foundation(of, aws_plan(load_environment(stacks / f"Pulumi.{of}.yaml"))).outputs
else:
    environment = parse_environment(config.require_object("environment"), f"Pulumi.{name}.yaml", name)
    planned = plan_of(environment)
    if isinstance(planned, AwsPlan):
        args = ManagedStackArgs(
            plan=planned,
            project=stacks.parent,
            inside=INSIDE in os.environ,
            agents_python=AGENTS.python if AGENTS.python.exists() else None,
        )
        outputs = ManagedStack(name, args).outputs
    else:
        runtimes = Runtimes.locate()
        fit = fitting(planned, f"Pulumi.{name}.yaml", runtimes.agents_python)
        LocalStack(planned, stack_files(environment, stacks.parent), runtimes, fit)
for output, value in outputs.items():
    pulumi.export(output, value)
