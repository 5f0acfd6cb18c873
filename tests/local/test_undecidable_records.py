"""What can't be decided is a dead letter with its raw bytes and its origin; the job goes on."""

from __future__ import annotations

from headrace_agents.records import Outcome, Position
from tests.pipeline.injection import inject
from tests.pipeline.ledger import Record
from tests.pipeline.plugin import Pipeline
from tests.pipeline.poison import KEY, UNDECIDABLE

TOPIC = "support.public.tickets"


def restarts(pipeline: Pipeline, job: str) -> int:
    """When the job was last restarting, epoch milliseconds; 0 for never."""
    found = pipeline.stack.rest(pipeline.stack.flink.endpoint, f"/jobs/{job}")
    return int(found["timestamps"]["RESTARTING"])


def test_what_cannot_be_decided_is_a_dead_letter_and_the_job_goes_on(pipeline: Pipeline) -> None:
    jobs = pipeline.stack.job_ids()
    restarted = {job: restarts(pipeline, job) for job in jobs.values()}
    tombstone = {"tombstone": (KEY, None)}
    undecidable = {name: (key, value) for name, (key, value, _) in UNDECIDABLE.items()}
    where = inject(pipeline.stack.bootstrap_servers, TOPIC, tombstone | undecidable)
    later = pipeline.load.insert(40)
    book = pipeline.verify()

    for name, agent in book.agents.items():
        letters = {origin(letter): letter for letter in agent.dead_letters}
        for what, (key, value, reason) in UNDECIDABLE.items():
            letter = letters[where[what]]
            assert (letter.key, letter.value) == (key, value), what
            assert letter.headers["headrace.reason"].decode() == reason, what
            assert letter.headers["headrace.agent"].decode() == name, what
        outcomes = {Position(o.topic, o.partition, o.offset): o for o in map(outcome_of, agent.outcomes)}
        assert outcomes[where["tombstone"]].status == "decided"
        assert outcomes[where["tombstone"]].decisions == ()
    assert all(pipeline.ledger.has_decided(ticket) for ticket in later)
    assert pipeline.stack.job_ids() == jobs
    assert {job: restarts(pipeline, job) for job in jobs.values()} == restarted
    assert pipeline.stack.jobs_running()


def origin(letter: Record) -> Position:
    said = {name: letter.headers[f"headrace.{name}"].decode() for name in ("topic", "partition", "offset")}
    return Position(said["topic"], int(said["partition"]), int(said["offset"]))


def outcome_of(record: Record) -> Outcome:
    return Outcome.model_validate_json(record.value or b"")
