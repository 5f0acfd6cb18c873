"""What an agent's job is told: the one definition that the infrastructure and the runtime share.

`headrace` writes an :class:`AgentJobSpec` from the plan; the job reads it back. The module imports
neither Flink nor a model client, so both environments can use it.

Units are in the names: ``_ms`` milliseconds, ``_bytes`` bytes.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from headrace_agents.chat import ModelErrorKind
from headrace_agents.consequences import ALONE, Consequence

DIGEST_PARAMETER = "headrace.spec-digest"
"""Global job parameter that says which specification a running job was made from."""


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


OnMisfit = Literal["dead_letter", "hold", "pass_on"]
"""What becomes of a row that its handler's model can't read: a dead letter; it and all that comes after it
from its table waits in the inbox, until the job is started anew or the agent is told to resume; the handler
gets it, with the values that don't fit as they came."""


class InputTopic(_Spec):
    """One captured table: the topic its changes are in, and the table as Debezium names it."""

    topic: str
    table: str
    """``schema.table``, compared with ``source.schema`` (or ``source.db``) and ``source.table`` of events."""
    on_misfit: OnMisfit = "dead_letter"


class OutputTopics(_Spec):
    """Where a run's results go, all within one Kafka transaction per subtask and checkpoint."""

    decisions: str
    outcomes: str
    dead_letters: str

    reviews: str
    """Questions to humans."""
    reports: str
    """What control commands found and did."""
    runs: str
    """What each run did, step by step."""

    @property
    def all(self) -> tuple[str, ...]:
        return self.decisions, self.outcomes, self.dead_letters, self.reviews, self.reports, self.runs


class FeedbackTopics(_Spec):
    """What is read beside the captured tables."""

    answers: str
    """Humans' answers to reviews."""
    replays: str
    """Dead letters that are to be tried again."""
    control: str
    """Commands to shards."""

    @property
    def all(self) -> tuple[str, ...]:
        return self.answers, self.replays, self.control


class JournalSpec(_Spec):
    """The write-ahead journal of finished steps."""

    topic: str
    partitions: int = Field(gt=0)
    write_ahead: Literal["none", "steps", "all"]
    """Which steps are acknowledged by Kafka before a run goes on: none, all but model calls, all. Without it
    a step is as safe as the last checkpoint."""
    mark_interval_ms: int = Field(gt=0)
    """How often a shard, an idle one too, notes how far the journal is in its state: what is read after a
    failure goes back no further."""
    client_properties: dict[str, str] = Field(default_factory=dict)
    """Of librdkafka, beside the brokers' addresses."""


class KafkaSpec(_Spec):
    bootstrap_servers: str
    client_properties: dict[str, str] = Field(default_factory=dict)
    delivery: Literal["exactly-once", "at-least-once"] = "exactly-once"
    transaction_timeout_ms: int = Field(gt=0)
    max_request_bytes: int = Field(gt=0)


class PricesSpec(_Spec):
    """In micro-dollars per million tokens."""

    input_microdollars: int = Field(ge=0)
    output_microdollars: int = Field(ge=0)


class AllowanceSpec(_Spec):
    """Of a day of UTC; at least one of both."""

    tokens: int | None = Field(default=None, gt=0)
    """Input and output together."""
    microdollars: int | None = Field(default=None, gt=0)


class BudgetSpec(_Spec):
    """What a model may take a day; calls that could take more are not made."""

    agent: AllowanceSpec | None
    """Of all subtasks together."""
    key: AllowanceSpec | None
    """Of each business key: a call past it fails."""
    at_limit: Literal["wait", "fail", "pause"]
    """What becomes of a call past the agent's: it waits for the next day, it fails (``budget``), or it waits
    and no other run is started until somebody says so."""


class SpendingSpec(_Spec):
    """Where what models take is kept."""

    budgets: str
    """Topic of what is granted."""
    costs: str
    """Topic of what was spent, compacted."""
    partitions: int = Field(gt=0)
    """Of the topic of budgets; a shard's keys are all in one."""


class EndpointSpec(_Spec):
    """A model at its provider, and the limits of calls to it."""

    provider: Literal["openai", "bedrock"] = "openai"
    """What answers: an OpenAI-compatible endpoint, or Amazon Bedrock."""
    endpoint: str | None = None
    """Base URL: an OpenAI-compatible endpoint's, without ``/chat/completions``, is required; Bedrock's is its
    region's where it is left out."""
    region: str | None = None
    """AWS's, of a model on Bedrock, which requires it."""
    name: str
    api_key_file: str | None = None
    """File that holds the key; the key itself is in no specification, argument or log."""
    timeout_ms: int = Field(gt=0)
    """Of one attempt."""
    max_attempts: int = Field(gt=0)
    """Of one call at this endpoint."""
    max_concurrency: int = Field(gt=0)
    """Calls in flight, per subtask: the most. More subtasks than ``parallelism`` share what those have."""
    requests_per_minute: int | None = Field(default=None, gt=0)
    """Attempts of all subtasks together; None: no limit is known."""
    max_answer_bytes: int = Field(default=4 << 20, gt=0)
    """No more of an OpenAI-compatible endpoint's answer is read: it is ``too_long``."""
    prices: PricesSpec | None = None

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        missing = "endpoint" if self.provider == "openai" else "region"
        if getattr(self, missing) is None:
            raise ValueError(f"provider {self.provider} requires {missing}")
        return self


class ChatEndpointSpec(EndpointSpec):
    """A chat model at its provider."""

    hedge_after_ms: int | None = Field(default=None, gt=0)
    """A second attempt is made beside one that has no answer by then; None: never."""
    max_output_tokens: int | None = Field(default=None, gt=0)
    """That one call may put out; None: the endpoint's own limit."""
    tokens_per_minute: int | None = Field(default=None, gt=0)
    """Of input and output, of all subtasks together; None: no limit is known."""
    budget: BudgetSpec | None = None


class CacheSpec(_Spec):
    """Answers that are given again to equal calls; in the memory of each worker."""

    entries: int = Field(gt=0)
    expiry_ms: int = Field(gt=0)


class ModelSpec(ChatEndpointSpec):
    """The chat model that an agent asks first, and what happens when that fails."""

    concurrency: int | None = Field(default=None, gt=0)
    """Calls in flight, and runs under way, to start with, per subtask: more while they wait and the endpoint
    keeps up, up to ``max_concurrency``; None: the most at once."""
    fallbacks: tuple[ChatEndpointSpec, ...] = ()
    """Asked in this order where those before failed."""
    on_failure: dict[ModelErrorKind, Consequence] = Field(default_factory=lambda: dict(ALONE))
    """Of each class of failure."""
    cache: CacheSpec | None = None

    @property
    def chain(self) -> tuple[ChatEndpointSpec, ...]:
        return self, *self.fallbacks

    @property
    def escalated(self) -> frozenset[ModelErrorKind]:
        """Classes of failure of which humans are asked."""
        return frozenset(kind for kind, consequence in self.on_failure.items() if consequence == "escalate")


class EmbeddingSpec(EndpointSpec):
    """A model that makes vectors of texts."""

    dimensions: int | None = Field(default=None, gt=0)
    """Numbers of a vector; None: as many as the model gives."""
    max_answer_bytes: int = Field(default=256 << 20, gt=0)


class Limits(_Spec):
    run_deadline_ms: int = Field(gt=0)
    """From the start of a run to its outcome; past it the event is a dead letter."""
    max_event_bytes: int = Field(gt=0)
    max_memory_bytes: int = Field(gt=0)
    """Per key, encoded."""
    inbox_soft_events: int = Field(gt=0)
    """Per subtask: above it each bundle is slowed by at most 200 ms in all."""
    inbox_hard_events: int = Field(gt=0)
    """Per subtask: at it the operator waits for runs to finish."""
    inbox_hard_bytes: int = Field(gt=0)
    """Per subtask, of keys and values: as ``inbox_hard_events``."""
    memory_expiry_ms: int | None = Field(default=None, gt=0)
    """A key's memory is forgotten that long after it was last written; None keeps it for ever."""


class RuntimeSpec(_Spec):
    tick_ms: int = Field(gt=0)
    """How often a busy shard looks for finished runs."""
    busy_share: float = Field(gt=0, le=1)
    """Of a processor core: a worker that uses as much is short of that, and not of calls in flight."""
    run_log: Literal["none", "steps", "prompts"] = "steps"
    """What the topic of runs has of them; prompts and answers only where they are wanted."""


class TracingSpec(_Spec):
    """Where runs are told of as traces."""

    endpoint: str
    """Of a receiver of OTLP over gRPC, ``http(s)://HOST:PORT``; without TLS where it is ``http``."""
    share: float = Field(gt=0, le=1)
    """Of the runs; a run is told of or not by its id alone."""


class AgentJobSpec(_Spec):
    """One agent, one Flink job."""

    name: str
    """Logical name: in ids, topics and transactional ids; never Flink's job id."""
    entry_point: str
    """``package.module:Class`` of the agent."""
    inputs: tuple[InputTopic, ...] = Field(min_length=1)
    key: tuple[str, ...] = Field(min_length=1)
    """Fields of the record's key that make the business key."""
    backfilled: Literal["decide", "skip"] = "decide"
    """What becomes of rows that an incremental snapshot read: a run, or an outcome without one."""
    outputs: OutputTopics
    feedback: FeedbackTopics
    journal: JournalSpec
    kafka: KafkaSpec
    model: ModelSpec | None
    embedding: EmbeddingSpec | None = None
    spending: SpendingSpec
    limits: Limits
    runtime: RuntimeSpec
    tracing: TracingSpec | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    """The agent's own settings, checked by its class."""
    shards: int = Field(gt=0)
    """Fixed for the job's life: state is kept per shard."""
    parallelism: int = Field(gt=0)
    max_parallelism: int = Field(gt=0)
    flink_configuration: dict[str, str] = Field(default_factory=dict)
    """Job-level Flink options, ready to be set as they are."""

    code: str = ""
    """Digest of the agent's code: other code is another job, though nothing else is different."""

    @property
    def transactional_id_prefix(self) -> str:
        """Of the sink's transactions. No name has a dot, so no agent's is the beginning of another's."""
        return f"{self.name}."

    def digest(self) -> str:
        """Hex SHA-256 over the canonical JSON: two jobs with the same digest are the same job."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
