"""What is worked out for a stack on AWS; pure, as the rest of the plan."""

from __future__ import annotations

from headrace.environment.model import Environment
from headrace.plan.agents import agents, agents_removed
from headrace.plan.aws.compute import cluster
from headrace.plan.aws.flink import deployments
from headrace.plan.aws.kafka import connect, msk
from headrace.plan.aws.model import AwsPlan
from headrace.plan.aws.network import network
from headrace.plan.aws.operator import operator
from headrace.plan.aws.place import aws_place
from headrace.plan.because import because, build
from headrace.plan.checkpoints import checkpoints
from headrace.plan.connectors import sources
from headrace.plan.scaling import scaling
from headrace.plan.state_storage import state_storage
from headrace.plan.topics import topics

__all__ = ["AwsPlan", "aws_plan"]


def aws_plan(environment: Environment) -> AwsPlan:
    """Everything that is computed from an environment on AWS, each leaf with its reason.

    Raises:
        HeadraceError: the environment is on another substrate.
    """
    aws = environment.aws
    place = aws_place(environment)
    jobs, rules = deployments(environment), operator(environment)
    captured, planned_topics = sources(environment, place), topics(environment, place)
    stack = build(
        AwsPlan,
        environment=because(environment.name, "the name of the stack's file"),
        owner=because(environment.owner, "declared, the tag of 1 owner on everything"),
        cost_centre=because(environment.cost_centre, "declared, the tag of 1 payer on everything"),
        region=because(aws.region, "declared"),
        zones=because(aws.zones, f"declared, or 3: {aws.zones}"),
        protect=because(aws.protect, "declared, or true: what holds data stays"),
        log_days=because(aws.log_days, "declared as substrate.log_days, or 30"),
        alarm_emails=because(
            aws.alarm_emails, f"declared as substrate.alarm_emails: {len(aws.alarm_emails)}"
        ),
        agents_image=because(
            aws.agents_image,
            "declared as substrate.agents_image"
            if aws.agents_image
            else "0 images are declared: agents come when one is pushed",
        ),
        collector_image=because(aws.collector_image, "declared as substrate.collector_image"),
        network=network(environment),
        cluster=cluster(environment, jobs.value, rules.value),
        sources=captured,
        topics=planned_topics,
        kafka=msk(environment, planned_topics.value),
        connect=connect(environment, captured.value),
        state_storage=state_storage(environment.savepoints),
        operator=rules,
        deployments=jobs,
        agents=agents(environment, place, checkpoints(environment).value),
        agents_removed=agents_removed(environment),
        scaling=scaling(environment.recovery),
        reasons=because({}, ""),
    )
    reasons = {path: reason for path, reason in stack.reasons.items() if path != "reasons"}
    return stack.value.model_copy(update={"reasons": reasons})
