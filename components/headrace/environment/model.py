"""What a person declares: one :class:`Environment` for a stack.

Every field is written with :func:`~headrace.environment.fields.declared`: the text of what is
allowed stands once, beside the type, and is what errors and ``docs/declaration.md`` say.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from headrace.environment.duration import ALLOWED as A_DURATION
from headrace.environment.duration import Duration
from headrace.environment.engines import SERVER_ID_MAX, Engine
from headrace.environment.fields import declared
from headrace.environment.money_parts import USUAL_OUTPUT_TOKENS, Budget, Prices
from headrace.environment.problem import Path
from headrace.environment.substrates import AwsSubstrate, LocalSubstrate, Substrate
from headrace.environment.types import (
    A_CONDITION,
    A_KEY_REFERENCE,
    A_NAME,
    A_POSITIVE,
    A_RECEIVER,
    AN_ENDPOINT,
    ColumnName,
    ColumnType,
    Condition,
    Count,
    Declared,
    Name,
    SomeTime,
    TableName,
    Text,
    checked,
    is_endpoint,
    is_receiver,
    matching,
)
from headrace.environment.units import DAY_MS, HOUR_MS, MIB, MINUTE_MS, SECOND_MS
from headrace.errors import HeadraceError
from headrace_agents.chat import ModelErrorKind
from headrace_agents.consequences import Consequence, usual
from headrace_agents.spec import OnMisfit

SHARDS = 128
"""Of an agent: its state is kept per shard, so a subtask more than these would do nothing."""
MAX_EVENT_BYTES = 8 * MIB
"""Largest record a captured table's topic takes."""
MAX_MEMORY_BYTES = 64 * MIB
MAX_OUTAGE = Duration(DAY_MS)
"""An unfinished transaction may keep a topic's readers waiting for this long."""
CALLS_PER_SUBTASK = 256
"""Model calls in flight that one asyncio loop, a subtask's, was measured to keep busy."""
EVENTS_PER_SUBTASK = 4_000
"""A second: an event was measured to cost 0.24 ms of CPU, and a subtask is one thread."""
USUAL_RECOVERY = Duration(90 * SECOND_MS)
A_CONSEQUENCE = "`wait`, `fall_back`, `dead_letter` or `escalate`"


class Table(Declared):
    """A captured table."""

    name: TableName = declared(
        "`schema.table` in lowercase; `database.table` with engine `mysql` and `mariadb`", "The table."
    )
    columns: dict[ColumnName, ColumnType] = declared(
        "column names with the types of the source's engine",
        "The columns, so that the local database can create the table; left out, the table has to exist."
        " Agents are checked against them; of `mysql` and `mariadb` against the names alone.",
        default_factory=dict,
    )
    primary_key: Annotated[tuple[ColumnName, ...], Field(min_length=1)] = declared(
        "a list of one or more column names", "The table's primary key."
    )
    key: Annotated[tuple[ColumnName, ...], Field(min_length=1)] | None = declared(
        "a list of one or more column names",
        "Columns that make the key of the table's Kafka records; left out, the primary key.",
        default=None,
    )

    @property
    def message_key(self) -> tuple[str, ...]:
        """Columns of the record's key: as declared, or the primary key."""
        return self.key or self.primary_key


class Backfill(Declared):
    """Rows of captured tables that are read once more, beside the live changes.

    It runs once, after it was declared: who wants it again declares it with another id.
    """

    id: Name = declared(A_NAME, "Names the backfill for ever: what has run is known by it.")
    tables: Annotated[tuple[TableName, ...], Field(min_length=1)] = declared(
        "a list of one or more tables of the source", "The tables to read, one after the other."
    )
    where: dict[TableName, Condition] = declared(
        f"a mapping from tables to conditions, or the condition of the only table: {A_CONDITION}",
        "Which rows of a table are read; left out, all.",
        default_factory=dict,
    )

    @model_validator(mode="before")
    @classmethod
    def _of_the_only_table(cls, given: Any) -> Any:
        """A condition alone belongs to the table, where there is one."""
        if isinstance(given, dict) and isinstance(given.get("where"), str):
            tables = given.get("tables")
            if isinstance(tables, (list, tuple)) and len(tables) == 1 and isinstance(tables[0], str):
                return {**given, "where": {tables[0]: given["where"]}}
        return given


class Source(Declared):
    """A database whose tables are captured."""

    name: Name = declared(
        A_NAME, "Names the connector, the slot, and the tables' topics (`NAME.schema.table`)."
    )
    engine: Engine = declared(
        "`postgresql`, `mysql` or `mariadb`",
        "The database's kind. Of `mysql` and `mariadb` connectors are made on AWS alone.",
    )
    database: Annotated[str, matching(r"[a-z_][a-z0-9_]*", 63)] = declared(
        "lowercase letters, digits and underscores, at most 63 characters", "The database in that server."
    )
    tables: Annotated[tuple[Table, ...], Field(min_length=1)] = declared(
        "a list of one or more tables", "The tables to capture."
    )
    server_id: Annotated[int, Field(strict=True, ge=1, le=SERVER_ID_MAX)] | None = declared(
        f"a whole number from 1 to {SERVER_ID_MAX}; with engine `mysql` and `mariadb` alone",
        "By which the server knows the connector among its replicas; left out, worked out from the names of"
        " environment and source.",
        default=None,
    )
    on_schema_change: OnMisfit = declared(
        "`dead_letter`, `hold` or `pass_on`",
        "What becomes of a change that an agent's handler can't read any more: a dead letter; it and all "
        "later ones of its table wait until the agent is brought up anew or resumed; the handler gets it, "
        "with what does not fit as it came.",
        default="dead_letter",
    )
    backfills: tuple[Backfill, ...] = declared(
        "a list of backfills",
        "Rows to read once more. One that is taken out again is not undone.",
        default=(),
    )


class ApiKey(Declared):
    """Where a model's key is found: the key itself is in no declaration, plan, argument or log."""

    env: Annotated[str, matching(r"[A-Za-z_][A-Za-z0-9_]*", 200)] | None = declared(
        "the name of an environment variable",
        "The variable holds the key when the stack is brought up.",
        default=None,
        secret=True,
    )
    file: Annotated[str, matching(r"/[^\x00]+", 1000)] | None = declared(
        "an absolute path",
        "The file holds the key and is read when the agent starts.",
        default=None,
        secret=True,
    )


def _consequence(meaning: str, otherwise: str) -> Any:
    return declared(A_CONSEQUENCE, f"{meaning}; left out, {otherwise}.", default=None)


class OnFailure(Declared):
    """What each class of failure of a call leads to."""

    rate_limited: Consequence | None = _consequence(
        "The endpoint answered 429", "`fall_back` with fallbacks, `wait` without"
    )
    overloaded: Consequence | None = _consequence(
        "It answered 5xx, or there was no connection", "`fall_back` with fallbacks, `wait` without"
    )
    timeout: Consequence | None = _consequence(
        "There was no answer within `timeout`", "`fall_back` with fallbacks, `wait` without"
    )
    malformed: Consequence | None = _consequence(
        "The answer was no completion, or did not fit its structure twice", "`wait`"
    )
    refused: Consequence | None = _consequence(
        "The endpoint or the model refused the request", "`dead_letter`"
    )
    too_long: Consequence | None = _consequence(
        "The request was too long for the model, or the answer for its bound", "`dead_letter`"
    )
    auth: Consequence | None = _consequence(
        "The key was refused", "`fall_back` with fallbacks, `dead_letter` without"
    )
    budget: Consequence | None = _consequence(
        "A budget is used up, where it does not wait (`budget.at_limit`)",
        "`fall_back` with fallbacks, `dead_letter` without",
    )
    unknown: Consequence | None = _consequence("Anything else", "`dead_letter`")

    def of(self, kind: ModelErrorKind, *, has_fallbacks: bool) -> Consequence:
        """As declared, or as usual."""
        given: Consequence | None = getattr(self, kind)
        return given or usual(kind, has_fallbacks=has_fallbacks)


class Cache(Declared):
    """Answers that are given again to equal calls, in the memory of each worker."""

    entries: Count = declared(A_POSITIVE, "Answers that a worker keeps, those that were used last.")
    expiry: SomeTime = declared(f"{A_DURATION}; more than 0", "How long an answer is given again.")


class ModelEndpoint(Declared):
    """A model at its provider, and the limits of calls to it."""

    provider: Literal["openai", "bedrock"] = declared(
        "`openai` or `bedrock`",
        "What answers: an OpenAI-compatible endpoint, or Amazon Bedrock, with credentials from boto3's own"
        " chain.",
        default="openai",
    )
    endpoint: Annotated[str, Field(strict=True), checked(AN_ENDPOINT, is_endpoint)] | None = declared(
        AN_ENDPOINT,
        "Base URL without `/chat/completions`, required for `openai`; `scripted` is the stack's own scripted"
        " model. Bedrock's is its region's where it is left out.",
        default=None,
    )
    region: Annotated[str, matching(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}", 30)] | None = declared(
        "a region of AWS, `eu-central-1`", "Of a model on Bedrock, which requires it.", default=None
    )
    name: Text = declared("text, 1 to 200 characters", "The model's name at its provider.")
    api_key: ApiKey | None = declared(
        A_KEY_REFERENCE,
        "Where the endpoint's key is found; left out, none is sent.",
        default=None,
        secret=True,
    )
    timeout: SomeTime | None = declared(
        f"{A_DURATION}; more than 0",
        "Of one attempt; left out, worked out from the model's latency.",
        default=None,
    )
    max_attempts: Annotated[int, Field(strict=True, ge=1, le=20)] | None = declared(
        "a whole number from 1 to 20", "Attempts of one call; left out, worked out.", default=None
    )
    max_concurrency: Count | None = declared(
        A_POSITIVE, "Calls in flight over all subtasks; left out, worked out by Little's law.", default=None
    )
    requests_per_minute: Count | None = declared(
        A_POSITIVE,
        "The provider's limit for this agent, over all subtasks: attempts are spread evenly over the minute"
        " and never exceed it.",
        default=None,
    )
    max_answer_bytes: Annotated[int, Field(strict=True, ge=1, le=MAX_EVENT_BYTES)] | None = declared(
        f"a whole number from 1 to {MAX_EVENT_BYTES}",
        "No more of an answer is read: a longer one is `too_long`; left out, 4 MiB, and 256 MiB of vectors."
        " Bedrock's answers are read whole.",
        default=None,
    )
    prices: Prices | None = declared(
        "prices", "What the endpoint bills; `headrace costs` and budgets in money go by them.", default=None
    )


class ChatEndpoint(ModelEndpoint):
    """A chat model at its provider, with limits of its own."""

    hedge_after: SomeTime | None = declared(
        f"{A_DURATION}; more than 0",
        "A second attempt is made beside one without an answer by then, and the first answer wins; left out,"
        " never.",
        default=None,
    )
    max_output_tokens: Count | None = declared(
        A_POSITIVE,
        "What one call may put out; left out, the endpoint's own limit, and 4096 where there is a budget.",
        default=None,
    )
    tokens_per_minute: Count | None = declared(
        A_POSITIVE,
        "As `requests_per_minute`, in tokens of input and output: estimated before a call, and corrected by"
        " what the endpoint counts.",
        default=None,
    )
    budget: Budget | None = declared(
        "a budget", "What the model may take a day; left out, there is no bound.", default=None
    )

    @property
    def most_output_tokens(self) -> int | None:
        """That one call may put out; None: what the endpoint allows."""
        if self.max_output_tokens is not None or self.budget is None:
            return self.max_output_tokens
        return USUAL_OUTPUT_TOKENS


class Model(ChatEndpoint):
    """The chat model that an agent asks."""

    fallbacks: tuple[ChatEndpoint, ...] = declared(
        "a list of endpoints", "Asked in this order where those before failed.", default=()
    )
    on_failure: OnFailure = declared(
        "consequences by class of failure", "What a failure leads to.", default_factory=OnFailure
    )
    cache: Cache | None = declared(
        "a cache", "Gives answers again to equal calls; left out, each call is made.", default=None
    )

    @property
    def chain(self) -> tuple[ChatEndpoint, ...]:
        """Its own endpoint, and its fallbacks."""
        return self, *self.fallbacks


class Embedding(ModelEndpoint):
    """The model that an agent's `ctx.embed` asks for vectors of texts."""

    dimensions: Count | None = declared(
        A_POSITIVE, "Numbers of a vector; left out, as many as the model gives.", default=None
    )


class Limits(Declared):
    """Bounds of an agent's runs; what is left out is worked out."""

    run_deadline: SomeTime | None = declared(
        f"{A_DURATION}; more than 0",
        "From the start of a run to its outcome; past it the event is a dead letter.",
        default=None,
    )
    max_event_bytes: Annotated[int, Field(strict=True, ge=1, le=MAX_EVENT_BYTES)] | None = declared(
        f"a whole number from 1 to {MAX_EVENT_BYTES}", "A larger event is a dead letter.", default=None
    )
    max_memory_bytes: Annotated[int, Field(strict=True, ge=1, le=MAX_MEMORY_BYTES)] | None = declared(
        f"a whole number from 1 to {MAX_MEMORY_BYTES}", "Of one key's memory, encoded.", default=None
    )
    inbox_soft_events: Count | None = declared(
        A_POSITIVE, "Undecided events per subtask from which bundles are slowed.", default=None
    )
    inbox_hard_events: Count | None = declared(
        A_POSITIVE,
        "Undecided events per subtask at which the operator waits for runs to finish.",
        default=None,
    )

    inbox_hard_bytes: Count | None = declared(
        A_POSITIVE,
        "Bytes of undecided events per subtask at which the operator waits for runs to finish.",
        default=None,
    )
    memory_expiry: SomeTime | None = declared(
        f"{A_DURATION}; more than 0",
        "A key's memory is forgotten that long after its last event; left out, never.",
        default=None,
    )


class Workload(Declared):
    """Facts about the load; what is worked out starts from these."""

    events_per_second: Count = declared(A_POSITIVE, "Events that the agent gets, at the peak.")
    keys: Count = declared(A_POSITIVE, "Distinct business keys that have memory.")
    state_bytes_per_key: Count = declared(A_POSITIVE, "Memory of one key, encoded.")
    model_latency: SomeTime | None = declared(
        f"{A_DURATION}; more than 0",
        "Of one model call, in the middle (p50); needed by an agent with a model.",
        default=None,
    )
    model_calls_per_event: Annotated[float, Field(ge=0.001, le=1_000)] | None = declared(
        "a number from 0.001 to 1000",
        "Model calls of one event, on average; left out, 1 for an agent with a model.",
        default=None,
    )

    @property
    def calls_per_event(self) -> float:
        return 1 if self.model_calls_per_event is None else self.model_calls_per_event

    @property
    def calls_per_second(self) -> float:
        """Model calls that the load makes."""
        return self.events_per_second * self.calls_per_event

    @property
    def calls_in_flight(self) -> float:
        """Little's law, L = rate x time: model calls, and so runs, that are under way at any moment."""
        return self.calls_per_second * self.model_latency.seconds if self.model_latency else 0


class Scaling(Declared):
    """Bounds of an agent's parallelism."""

    parallelism_min: Annotated[int, Field(strict=True, ge=1, le=SHARDS)] = declared(
        f"a whole number from 1 to {SHARDS}",
        "Subtasks the agent runs with; slots for these are reserved.",
    )
    parallelism_max: Annotated[int, Field(strict=True, ge=1, le=SHARDS)] = declared(
        f"a whole number from 1 to {SHARDS}, not below `parallelism_min`",
        "Subtasks the agent may be rescaled to.",
    )


class AgentUpgrade(Declared):
    """What another version of an agent has to show before the one that ran is given up."""

    healthy_for: Annotated[
        Duration, checked("5s to 1h", lambda given: 5_000 <= given.milliseconds <= 3_600_000)
    ] = declared(
        "a duration, 5s to 1h",
        "How long checkpoints, lag, dead letters and cost have to be as before; else it is undone.",
        default=Duration(30 * SECOND_MS),
    )
    runs: Literal["resume", "drain"] = declared(
        "`resume` or `drain`",
        "Runs in flight: the new version goes on with them by the journal, or (`drain`) the old one ends them"
        " first, within a run's deadline, and starts none meanwhile.",
        default="resume",
    )


class Agent(Declared):
    """Code that gets the changes of some tables, per key in order, and decides."""

    name: Name = declared(A_NAME, "Names the Flink job and the topics (`NAME.decisions`, ...).")
    entry_point: Annotated[
        str, matching(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*", 500)
    ] = declared("`package.module:Class`", "The agent's class.")
    inputs: Annotated[tuple[Annotated[str, Field(strict=True)], ...], Field(min_length=1)] = declared(
        "a list of one or more `source.schema.table`, each declared under `sources`", "The tables it reads."
    )
    key: Annotated[tuple[ColumnName, ...], Field(min_length=1)] = declared(
        "a list of one or more columns that are in the key of every input table",
        "The business key: memory and order are per key.",
    )
    delivery: Literal["exactly-once", "at-least-once"] = declared(
        "`exactly-once` or `at-least-once`",
        "`at-least-once` shows decisions sooner; after a failure some come again, with the same ids.",
        default="exactly-once",
    )
    journal: Literal["steps", "all", "none"] = declared(
        "`steps`, `all` or `none`",
        "What a failure never repeats: finished steps and tools, model calls too, or only what the last"
        " checkpoint knew. What is written ahead costs a step some milliseconds.",
        default="steps",
    )
    run_log: Literal["none", "steps", "prompts"] = declared(
        "`none`, `steps` or `prompts`",
        "What `headrace trace` can show of a run: nothing, its steps with times, tokens and costs, or its"
        " prompts and answers too.",
        default="steps",
    )
    backfilled: Literal["decide", "skip"] = declared(
        "`decide` or `skip`",
        "What becomes of rows that a backfill reads: a run as for any change, or an outcome without a run.",
        default="decide",
    )
    model: Model | None = declared(
        "a model", "The model it asks; left out, the agent has none.", default=None
    )
    embedding: Embedding | None = declared(
        "an embedding model", "The model that makes its vectors; left out, the agent has none.", default=None
    )
    workload: Workload = declared("a workload", "Facts about its load.")
    scaling: Scaling = declared("scaling bounds", "Bounds of its parallelism.")
    limits: Limits = declared("limits", "Bounds of its runs.", default_factory=Limits)
    upgrade: AgentUpgrade = declared(
        "how it is upgraded", "What another version of it has to show.", default_factory=AgentUpgrade
    )
    settings: dict[Annotated[str, Field(strict=True)], Any] = declared(
        "a mapping", "The agent's own settings, checked by its class.", default_factory=dict
    )

    @property
    def chat_endpoints(self) -> dict[Path, ChatEndpoint]:
        """Its model's own endpoint and its fallbacks, by where they stand."""
        if self.model is None:
            return {}
        below: dict[Path, ChatEndpoint] = {
            ("model", "fallbacks", at): each for at, each in enumerate(self.model.fallbacks)
        }
        return {("model",): self.model, **below}

    @property
    def model_endpoints(self) -> dict[Path, ModelEndpoint]:
        """All of its chat models and embedding models, by where they stand."""
        return {**self.chat_endpoints, **({("embedding",): self.embedding} if self.embedding else {})}


class Checkpoints(Declared):
    """What may be said about checkpoints where the objectives are not enough."""

    interval: (
        Annotated[Duration, checked("200ms or more", lambda given: given.milliseconds >= 200)] | None
    ) = declared(
        "a duration, 200ms or more, at most `recovery.max_replay`",
        "Between checkpoints; left out, worked out from `recovery.max_replay`.",
        default=None,
    )


class Savepoints(Declared):
    """Savepoints that are made now and then, and how many of an agent's savepoints are kept."""

    interval: (
        Annotated[Duration, checked("10m or more", lambda given: given.milliseconds >= 10 * MINUTE_MS)] | None
    ) = declared(
        "a duration, 10m or more",
        "Between savepoints of an agent that runs; left out, one is made only when it is stopped.",
        default=None,
    )
    history_count: Count = declared(
        A_POSITIVE, "The most that are kept of an agent's savepoints, the newest ones.", default=10
    )
    history_age: SomeTime = declared(
        f"{A_DURATION}; more than 0",
        "The longest that they are kept; the newest one always is.",
        default=Duration(7 * DAY_MS),
    )


class Recovery(Declared):
    """Recovery objectives."""

    max_replay: Annotated[
        Duration,
        checked("a duration from 1s to 1h", lambda given: SECOND_MS <= given.milliseconds <= HOUR_MS),
    ] = declared(
        "a duration from 1s to 1h",
        "How much of the events' time a failure may make the agents go through again.",
    )
    max_outage: Annotated[
        Duration,
        checked(
            f"a duration from 1m to {MAX_OUTAGE}", lambda given: Duration(MINUTE_MS) <= given <= MAX_OUTAGE
        ),
    ] = declared(
        f"a duration from 1m to {MAX_OUTAGE}",
        (
            "The longest outage of a part (broker, object store, database) that "
            "must heal with no hand and no loss."
        ),
    )
    max_recovery: Annotated[
        Duration,
        checked(
            "a duration from 30s to 15m",
            lambda given: 30 * SECOND_MS <= given.milliseconds <= 15 * MINUTE_MS,
        ),
    ] = declared(
        "a duration from 30s to 15m",
        "How long until a lost process is replaced and its work goes on.",
        default=USUAL_RECOVERY,
    )


class Tracing(Declared):
    """Runs of agents as traces of OpenTelemetry: a span for the run, and one for each of its steps."""

    endpoint: Annotated[str, Field(strict=True), checked(A_RECEIVER, is_receiver)] | None = declared(
        A_RECEIVER,
        "A receiver of OTLP over gRPC. On AWS left out: the stack's own collector, which sends traces to"
        " X-Ray; one that is given is at port 443 there.",
        default=None,
    )
    share: Annotated[float, Field(gt=0, le=1)] = declared(
        "a number over 0, at most 1", "Of the runs, how many are traced.", default=1.0
    )


class Environment(Declared):
    """The whole declaration of one stack."""

    name: Name
    """The stack's name; it comes from the file's name, `Pulumi.<name>.yaml`."""
    owner: Text = declared("text, 1 to 200 characters", "Who answers for the stack.")
    cost_centre: Text = declared("text, 1 to 200 characters", "Who pays for the stack.")
    substrate: Substrate = declared("a substrate", "Where the stack runs.")
    sources: Annotated[tuple[Source, ...], Field(min_length=1)] = declared(
        "a list of one or more sources", "The databases whose tables are captured."
    )
    agents: Annotated[tuple[Agent, ...], Field(min_length=1)] = declared(
        "a list of one or more agents", "The agents that decide on the changes."
    )
    agents_removed: tuple[Name, ...] = declared(
        "a list of names that no declared agent has",
        "Agents that ran and are to go: no agent is removed without this word. Its job is stopped with a "
        "savepoint; state stays, and so do topics, but on AWS where `protect` is false.",
        default=(),
    )
    recovery: Recovery = declared("recovery objectives", "What a failure may cost.")
    checkpoints: Checkpoints = declared(
        "checkpoint settings", "Overrides of what the objectives give.", default_factory=Checkpoints
    )
    savepoints: Savepoints = declared(
        "savepoint settings", "Periodic savepoints, and the history that is kept.", default_factory=Savepoints
    )
    tracing: Tracing | None = declared(
        "tracing", "Where agents send traces; left out, nowhere.", default=None
    )

    @property
    def local(self) -> LocalSubstrate:
        """The substrate, where it is this machine.

        Raises:
            HeadraceError: the stack runs elsewhere.
        """
        if isinstance(self.substrate, LocalSubstrate):
            return self.substrate
        raise HeadraceError(
            f"environment {self.name} is `{self.substrate.kind}`: this needs substrate.kind `local`"
        )

    @property
    def aws(self) -> AwsSubstrate:
        """The substrate, where it is AWS.

        Raises:
            HeadraceError: the stack runs elsewhere.
        """
        if isinstance(self.substrate, AwsSubstrate):
            return self.substrate
        raise HeadraceError(
            f"environment {self.name} is `{self.substrate.kind}`: this needs substrate.kind `aws`"
        )
