"""What a person declares: one :class:`Environment` for a stack.

Every field is written with :func:`~headrace.environment.fields.declared`: the text of what is
allowed stands once, beside the type, and is what errors and ``docs/declaration.md`` say.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from headrace.environment import names
from headrace.environment.duration import ALLOWED as A_DURATION
from headrace.environment.duration import Duration
from headrace.environment.fields import declared

PORTS_PER_STACK = 100
"""Ports from ``port_base`` that belong to a stack, used or not: two stacks 100 apart never meet."""
SHARDS = 128
"""Of an agent: its state is kept per shard, so a subtask more than these would do nothing."""
MAX_EVENT_BYTES = 8 * 1024 * 1024
"""Largest record a captured table's topic takes."""
MAX_OUTAGE = Duration(24 * 3_600_000)
"""An unfinished transaction may keep a topic's readers waiting for this long."""
SCRIPTED = "scripted"
"""The endpoint that stands for the stack's own scripted model."""


def _checked(allowed: str, accepts: Any) -> AfterValidator:
    def check(value: Any) -> Any:
        if not accepts(value):
            raise PydanticCustomError("not_allowed", "{allowed}", {"allowed": allowed})
        return value

    return AfterValidator(check)


def _matching(pattern: str, max_length: int | None = None) -> Any:
    return StringConstraints(strict=True, pattern=f"^(?:{pattern})$", max_length=max_length)


def is_loopback(host: str) -> bool:
    """Whether a host of a URL stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_endpoint(endpoint: str) -> bool:
    if endpoint == SCRIPTED:
        return True
    if re.search(r"\s", endpoint):
        return False
    try:
        url = urlsplit(endpoint)
        host, _port = url.hostname, url.port
    except ValueError:
        return False
    bare = not (url.username or url.password or url.query or url.fragment)
    secure = url.scheme == "https" or (url.scheme == "http" and host is not None and is_loopback(host))
    return bool(host) and bare and secure


A_NAME = (
    "lowercase letters, digits and single dashes between them, starting with a letter, at most 63 characters"
)
A_POSITIVE = "a whole number, 1 or more"
AN_ENDPOINT = (
    "`scripted`, an `https://` URL, or an `http://` URL of this machine "
    "(loopback), without user, query or fragment"
)
A_KEY_REFERENCE = "`{env: NAME}` or `{file: /PATH}`, never the key itself"

Name = Annotated[str, _matching(names.NAME, 63)]
Count = Annotated[int, Field(strict=True, ge=1)]
Text = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200, strip_whitespace=True)]
TableName = Annotated[str, _matching(names.TABLE, 127)]
ColumnName = Annotated[str, _matching(names.COLUMN, 63)]
ColumnType = Annotated[
    str, _matching(r"[a-z][a-z0-9_]*( [a-z]+)*(\([0-9]{1,4}(, ?[0-9]{1,4})?\))?( [a-z]+)*(\[\])?", 100)
]
SomeTime = Annotated[Duration, _checked(f"{A_DURATION}; more than 0", lambda given: given.milliseconds > 0)]


class Declared(BaseModel):
    """Frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Substrate(Declared):
    """Where the stack runs."""

    kind: Literal["local"] = declared("`local`", "Processes on this machine.")
    port_base: Annotated[int, Field(strict=True, ge=1024, le=65536 - PORTS_PER_STACK)] = declared(
        f"a whole number from 1024 to {65536 - PORTS_PER_STACK}",
        f"First of the {PORTS_PER_STACK} loopback ports of this stack.",
        default=17000,
    )
    data_dir: Annotated[str, _matching(r"/[^\x00]*", 1000)] | None = declared(
        "an absolute path",
        (
            "Folder of the stack's data (database, topics, checkpoints); left out, "
            "`.headrace/NAME` in the project's folder."
        ),
        default=None,
    )
    taskmanagers: Annotated[int, Field(strict=True, ge=1, le=16)] = declared(
        "a whole number from 1 to 16",
        "Flink TaskManager processes; with 2 or more, every agent still fits when one is lost.",
        default=2,
    )


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
    database: Annotated[str, _matching(r"[a-z_][a-z0-9_]*", 63)] = declared(
        "lowercase letters, digits and underscores, at most 63 characters", "The database in that server."
    )
    tables: Annotated[tuple[Table, ...], Field(min_length=1)] = declared(
        "a list of one or more tables", "The tables to capture."
    )


class ApiKey(Declared):
    """Where a model's key is found: the key itself is in no declaration, plan, argument or log."""

    env: Annotated[str, _matching(r"[A-Za-z_][A-Za-z0-9_]*", 200)] | None = declared(
        "the name of an environment variable",
        "The variable holds the key when the stack is brought up.",
        default=None,
        secret=True,
    )
    file: Annotated[str, _matching(r"/[^\x00]+", 1000)] | None = declared(
        "an absolute path",
        "The file holds the key and is read when the agent starts.",
        default=None,
        secret=True,
    )


class Model(Declared):
    """The OpenAI-compatible chat model that an agent asks."""

    endpoint: Annotated[str, Field(strict=True), _checked(AN_ENDPOINT, _is_endpoint)] = declared(
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
    max_memory_bytes: Annotated[int, Field(strict=True, ge=1, le=64 * 1024 * 1024)] | None = declared(
        f"a whole number from 1 to {64 * 1024 * 1024}", "Of one key's memory, encoded.", default=None
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
        str, _matching(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*", 500)
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
        Annotated[Duration, _checked("200ms or more", lambda given: given.milliseconds >= 200)] | None
    ) = declared(
        "a duration, 200ms or more, at most `recovery.max_replay`",
        "Between checkpoints; left out, worked out from `recovery.max_replay`.",
        default=None,
    )


class Savepoints(Declared):
    """Savepoints that are made now and then, and how many of an agent's savepoints are kept."""

    interval: (
        Annotated[Duration, _checked("10m or more", lambda given: given.milliseconds >= 600_000)] | None
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
        default=Duration(168 * 3_600_000),
    )


class Recovery(Declared):
    """Recovery objectives."""

    max_replay: Annotated[
        Duration, _checked("a duration from 1s to 1h", lambda given: 1_000 <= given.milliseconds <= 3_600_000)
    ] = declared(
        "a duration from 1s to 1h",
        "How much of the events' time a failure may make the agents go through again.",
    )
    max_outage: Annotated[
        Duration,
        _checked(
            f"a duration from 1m to {MAX_OUTAGE}", lambda given: Duration(60_000) <= given <= MAX_OUTAGE
        ),
    ] = declared(
        f"a duration from 1m to {MAX_OUTAGE}",
        (
            "The longest outage of a part (broker, object store, database) that "
            "must heal with no hand and no loss."
        ),
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
