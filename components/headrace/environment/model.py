"""What a person declares: one :class:`Environment` for a stack.

Every field is written with :func:`~headrace.environment.fields.declared`: the text of what is
allowed stands once, beside the type, and is what errors and ``docs/declaration.md`` say.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from headrace.environment.duration import ALLOWED as A_DURATION
from headrace.environment.duration import Duration
from headrace.environment.fields import declared
from headrace.environment.substrates import AwsSubstrate, LocalSubstrate, Substrate
from headrace.environment.types import (
    A_KEY_REFERENCE,
    A_NAME,
    A_POSITIVE,
    AN_ENDPOINT,
    ColumnName,
    ColumnType,
    Count,
    Declared,
    Name,
    SomeTime,
    TableName,
    Text,
    checked,
    is_endpoint,
    matching,
)
from headrace.environment.units import DAY_MS, HOUR_MS, MIB, MINUTE_MS, SECOND_MS
from headrace.errors import HeadraceError

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


class Table(Declared):
    """A captured table."""

    name: TableName = declared("`schema.table` in lowercase", "The table.")
    columns: dict[ColumnName, ColumnType] = declared(
        "column names with their PostgreSQL types",
        "The columns, so that the local database can create the table; left out, the table has to exist.",
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


class Source(Declared):
    """A database whose tables are captured."""

    name: Name = declared(
        A_NAME, "Names the connector, the slot, and the tables' topics (`NAME.schema.table`)."
    )
    engine: Literal["postgresql"] = declared("`postgresql`", "The database's kind.")
    database: Annotated[str, matching(r"[a-z_][a-z0-9_]*", 63)] = declared(
        "lowercase letters, digits and underscores, at most 63 characters", "The database in that server."
    )
    tables: Annotated[tuple[Table, ...], Field(min_length=1)] = declared(
        "a list of one or more tables", "The tables to capture."
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


class Model(Declared):
    """The OpenAI-compatible chat model that an agent asks."""

    endpoint: Annotated[str, Field(strict=True), checked(AN_ENDPOINT, is_endpoint)] = declared(
        AN_ENDPOINT, "Base URL without `/chat/completions`; `scripted` is the stack's own scripted model."
    )
    name: Text = declared("text, 1 to 200 characters", "The model's name at the endpoint.")
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
    tokens_per_minute: Count | None = declared(
        A_POSITIVE,
        "The same in tokens of input and output: estimated before a call, and corrected by what the endpoint"
        " counts.",
        default=None,
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
    model: Model | None = declared(
        "a model", "The model it asks; left out, the agent has none.", default=None
    )
    workload: Workload = declared("a workload", "Facts about its load.")
    scaling: Scaling = declared("scaling bounds", "Bounds of its parallelism.")
    limits: Limits = declared("limits", "Bounds of its runs.", default_factory=Limits)
    settings: dict[Annotated[str, Field(strict=True)], Any] = declared(
        "a mapping", "The agent's own settings, checked by its class.", default_factory=dict
    )


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
    recovery: Recovery = declared("recovery objectives", "What a failure may cost.")
    checkpoints: Checkpoints = declared(
        "checkpoint settings", "Overrides of what the objectives give.", default_factory=Checkpoints
    )
    savepoints: Savepoints = declared(
        "savepoint settings", "Periodic savepoints, and the history that is kept.", default_factory=Savepoints
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
