"""Flink's options on AWS: each is a leaf of the plan with its reason, and is on both substrates the same.

What a substrate adds is listed by the plan's own test: places in the image, in the buckets, on this machine.
"""

from __future__ import annotations

import yaml

from headrace.local import LocalStack, StackFiles
from headrace.local.agent import complete
from headrace.plan import plan
from headrace.toolchain.runtimes import Runtimes
from tests.components.aws.test_flink_application import AGENT, DEPLOYMENT, PLAN, job, spec, with_options
from tests.components.aws.test_flink_operator import values
from tests.components.recording import fit_of, registered
from tests.components.test_local_stack import files, ordinary_machine, runtimes
from tests.components.test_values_come_from_the_plan import reasoned, written
from tests.unit.environment.declarations import on_aws, parsed, shipped
from tests.unit.plan.substrate_options import OF_THE_BUCKETS, OF_THE_IMAGE, OF_THIS_MACHINE, different

__all__ = ["files", "ordinary_machine", "runtimes"]


def test_every_option_of_a_deployment_is_the_plans() -> None:
    planned = {
        **reasoned(PLAN, DEPLOYMENT.flink.configuration, "deployments[0].flink.configuration"),
        **reasoned(PLAN, AGENT.spec.flink_configuration, "agents[0].spec.flink_configuration"),
    }
    told = spec()["flinkConfiguration"]
    assert set(told) - set(planned) == OF_THE_BUCKETS | OF_THE_IMAGE
    assert {key: told[key] for key in planned} == planned


def test_every_option_of_the_operator_is_the_plans() -> None:
    planned = reasoned(PLAN, PLAN.operator.configuration, "operator.configuration")
    text = values()["defaultConfiguration"]["flink-conf.yaml"]
    assert yaml.load(text, yaml.BaseLoader) == planned


def test_what_the_plan_leaves_out_has_no_second_author() -> None:
    told = spec(deployment=with_options(heartbeat__timeout=None))["flinkConfiguration"]
    assert set(spec()["flinkConfiguration"]) - set(told) == {"heartbeat.timeout"}


def test_a_job_is_told_the_same_on_both_substrates(files: StackFiles, runtimes: Runtimes) -> None:
    """But for addresses, sizes and credentials, by the list of the plan's own test."""
    here = plan(parsed(shipped() | {"agents": on_aws()["agents"][:1]}))
    stack = registered(lambda: LocalStack(here, files, runtimes, fit_of(here)))
    (agent,) = here.agents
    local = written(stack, "taskmanager-1", "config.yaml") | complete(agent, files).flink_configuration
    there = spec()["flinkConfiguration"]
    known = OF_THE_BUCKETS | OF_THE_IMAGE | OF_THIS_MACHINE
    assert set(different(there, local)) <= known
    # Of what the job sets itself, places alone differ.
    inside = job(spec()).flink_configuration
    places = OF_THE_BUCKETS | {"python.pythonpath"}
    assert set(different(inside, complete(agent, files).flink_configuration)) <= places
