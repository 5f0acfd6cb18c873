"""What can be done with a source's connector on each substrate, how, and why not.

Here Kafka Connect has its REST interface. MSK Connect has none (no pause, restart, validation or offsets):
what is done through it here has other steps there, or is refused with the reason.
"""

from __future__ import annotations

from typing import NamedTuple

from headrace.errors import HeadraceError


class Way(NamedTuple):
    """How it is done; or why it is not."""

    text: str
    is_there: bool = True


class Ability(NamedTuple):
    meaning: str
    local: Way
    aws: Way


def _not(reason: str) -> Way:
    return Way(reason, is_there=False)


ABILITIES = {
    "make": Ability(
        "make, change and remove a connector",
        Way("a resource, through Connect's REST interface; a change keeps its place"),
        Way(
            "`aws.mskconnect.Connector`: a change of its configuration keeps its place, another plugin makes"
            " it anew, with its place in the topic of offsets that the plan names"
        ),
    ),
    "preflight": Ability(
        "look at the database before",
        Way("`headrace preflight`, and a resource before each connector"),
        Way(
            "a resource before each connector, on the runner or where `pulumi up` runs, by the secret;"
            " `headrace preflight`, by a person from where the database can be reached"
        ),
    ),
    "validate": Ability(
        "have a connector's configuration validated",
        Way("Connect does when it takes it: `up` fails with its words"),
        Way(
            "MSK Connect does when it makes the connector; the same configuration is validated by"
            " a Connect of the tests' own"
        ),
    ),
    "exactly_once": Ability(
        "1 change is 1 record",
        Way("required of connector and worker; broken on purpose by the chaos suite"),
        Way(
            "required of connector and worker, so that one that can't does not start; no MSK"
            " Connect was asked"
        ),
    ),
    "restart": Ability(
        "restart what failed",
        Way("the process `capture-watch` restarts failed tasks, further and further apart"),
        Way(
            "MSK Connect restarts workers and tasks itself; an alarm tells of a connector without a running"
            " task"
        ),
    ),
    "watch": Ability(
        "watch slots, WAL and heartbeats",
        Way("the process `capture-watch`, its metrics and alerts"),
        Way(
            "a pod for each source asks for slot and WAL, with alerts of the same bounds; heartbeats are not"
            " watched; RDS has `OldestReplicationSlotLag` and `TransactionLogsDiskUsage` in CloudWatch, too"
        ),
    ),
    "status": Ability(
        "say at once how a source is captured",
        Way("`headrace capture status`"),
        _not(
            "its databases and MSK Connect are not asked from here: Managed Prometheus has its slots' figures"
        ),
    ),
    "slot": Ability(
        "keep slot and publication in step with the declaration",
        Way(
            "resources: a publication of exactly the declared tables, altered in place; the connector's slot,"
            " taken over where it is ours; both dropped with the source, after its connector"
        ),
        Way(
            "the slot is a resource as here, dropped with the source; the publication is Debezium's"
            " (`filtered`) or an administrator's, as only who owns the tables may alter it: by hand"
        ),
    ),
    "accept": Ability(
        "go on where a slot is that is ahead of its connector's offset",
        Way("`headrace capture accept`: what is between the two never comes"),
        _not(
            "MSK Connect has no interface for offsets: the connector fails at its start instead"
            " (`offset.mismatch.strategy`), and nothing is skipped in silence"
        ),
    ),
    "backfill": Ability(
        "read rows once more beside the live changes",
        Way("`backfills` of a source, by a signal in a topic; `headrace backfill list|pause|resume|cancel`"),
        _not(
            "a signal has to be written from inside the VPC, and nothing does that yet: refused when declared"
        ),
    ),
    "resnapshot": Ability(
        "read a source anew after its slot is lost",
        Way(
            "`headrace capture resnapshot`: stops the connector, forgets its offsets, drops the slot,"
            " starts it"
        ),
        _not(
            "MSK Connect can't forget a connector's offsets. By hand: remove the connector, write a"
            " tombstone for it into its topic of offsets, drop its slot, bring the stack up"
        ),
    ),
}
"""By what it is called in code."""


def refuse_on_aws(name: str, environment: str) -> None:
    """Raises HeadraceError with the reason, where AWS can't."""
    ability = ABILITIES[name]
    if not ability.aws.is_there:
        raise HeadraceError(
            f"environment {environment} is on AWS, where headrace can't {ability.meaning}: {ability.aws.text}"
        )


def abilities_table() -> str:
    """Markdown: a row for each."""
    rows = [f"| {each.meaning} | {each.local.text} | {_cell(each.aws)} |" for each in ABILITIES.values()]
    return "\n".join(["| | on this machine | on AWS |", "|---|---|---|", *rows])


def _cell(way: Way) -> str:
    return way.text if way.is_there else f"**no**: {way.text}"
