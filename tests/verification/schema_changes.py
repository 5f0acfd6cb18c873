"""Random changes of an agent's memory: what one version wrote, and another version that is to read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Literal

from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, create_model

from headrace_agents import Agent, Change, Context, codec, on
from headrace_agents.agent import AgentError, migrates, prepare
from tests.verification.agents import TABLE, Thing

KEYS = range(6)
NAMES = ("a", "b", "c", "d")
TYPES: dict[str, tuple[Any, Any]] = {
    "int": (int, 0),
    "natural": (Annotated[int, Field(ge=0)], 0),
    "text": (str, ""),
    "numbers": (list[int], []),
    "maybe": (float | None, None),
    "required": (int, ...),
}
WRITTEN = ("int", "text", "numbers", "maybe")
VALUES = {
    "int": st.integers(-3, 3),
    "text": st.sampled_from(["", "7", "no number"]),
    "numbers": st.lists(st.integers(0, 2), max_size=2),
    "maybe": st.sampled_from([None, 1.5, 2.0]),
}
Content = dict[str, Any]


class Decided(BaseModel):
    thing: int


def _raises(_memory: Content) -> Content:
    raise KeyError("gone")


def _raises_for_some(memory: Content) -> Content:
    if len(json.dumps(memory)) % 2:
        raise RuntimeError("not this one")
    return memory


def _exits(_memory: Content) -> Content:
    raise SystemExit("bye")


MIGRATIONS: dict[str, Callable[[Content], Any]] = {
    "adds": lambda memory: memory | {"added": 1},
    "same": lambda memory: memory,
    "empty": lambda _: {},
    "texts": lambda memory: {name: str(value) for name, value in memory.items()},
    "known": lambda memory: {name: memory[name] for name in ("a", "b") if name in memory},
    "needs a": lambda memory: {"a": memory["a"]},
    "raises": _raises,
    "raises for some": _raises_for_some,
    "exits": _exits,
    "no mapping": lambda _: 7,
}


class WrittenMemory(BaseModel):
    """As an earlier version left it; now and then one is spoilt."""

    content: Content
    version: int
    is_old: bool
    """Whether it has expired, where memories do."""
    spoilt: Literal["", "short", "format", "none"] = ""
    left: float = 0
    """Of a short one, the share that is left."""

    def encoded(self, now_ms: int, old_ms: int) -> bytes | None:
        """None where there is none."""
        written_at_ms = old_ms if self.is_old else now_ms
        data = codec.encode_memory(
            codec.Memory(self.version, written_at_ms, json.dumps(self.content).encode())
        )
        match self.spoilt:
            case "short":
                return data[: int(self.left * len(data))]
            case "format":
                return b"\x02" + data[1:]
            case "none":
                return None
        return data


class SchemaChange(BaseModel):
    """Memories of :data:`KEYS`, and the version that comes: plain data, from which any process makes it."""

    memories: tuple[WrittenMemory, ...]
    fields: dict[str, str]
    extra: Literal["ignore", "forbid"]
    memory_version: int
    migrations: dict[int, str]
    """By the version that each starts from."""
    expires: bool

    def agent(self) -> type[Agent[Any, Any, Any]]:
        """Its class, which need not be one that can be loaded."""
        fields: dict[str, Any] = {name: TYPES[kind] for name, kind in self.fields.items()}
        config = ConfigDict(extra=self.extra)
        model: type[BaseModel] = create_model("Changed", __config__=config, **fields)
        version = self.memory_version

        class Changed(Agent[model, Decided]):
            memory_version = version

            @on(TABLE, "create")
            async def thing(self, ctx: Context[Any, Any], change: Change[Thing]) -> None:
                ctx.emit(Decided(thing=change.row.id))

        for start, name in self.migrations.items():
            # A function of its own: a mark is the function's.
            def migration(memory: Content, apply: Callable[[Content], Any] = MIGRATIONS[name]) -> Any:
                return apply(memory)

            setattr(Changed, f"from_{start}", staticmethod(migrates(start)(migration)))
        return Changed

    def can_be_loaded(self) -> bool:
        try:
            prepare(self.agent(), {})
        except AgentError:
            return False
        return True


def _memory(draw: st.DrawFn, kinds: dict[str, str]) -> WrittenMemory:
    return WrittenMemory(
        content={name: draw(VALUES[kind]) for name, kind in kinds.items() if draw(st.integers(0, 20))},
        version=draw(st.sampled_from([*[1] * 15, 2, 2, 2, 4])),
        is_old=draw(st.sampled_from([False, False, False, True])),
        spoilt=draw(st.sampled_from([*[""] * 20, "short", "format", "none"])),
        left=draw(st.floats(0, 0.99)),
    )


@st.composite
def schema_changes(draw: st.DrawFn) -> SchemaChange:
    """Fields kept, added, removed or of other types; migrations or none. Only what can be loaded."""
    kinds = {name: draw(st.sampled_from(WRITTEN)) for name in NAMES}
    memories = tuple(_memory(draw, kinds) for _ in KEYS)
    fields = {name: kind for name, kind in kinds.items() if draw(st.integers(0, 9))}
    is_retyped, has_more = draw(st.tuples(st.booleans(), st.booleans()))
    if fields and is_retyped:
        fields[draw(st.sampled_from(sorted(fields)))] = draw(st.sampled_from(sorted(TYPES)))
    if has_more:
        fields["added"] = draw(st.sampled_from(sorted(TYPES)))
    version = draw(st.integers(1, 3))
    starts = range(draw(st.integers(1, version)), version)
    return SchemaChange(
        memories=memories,
        fields=fields,
        extra=draw(st.sampled_from(["ignore", "forbid"])),
        memory_version=version,
        migrations={start: draw(st.sampled_from(sorted(MIGRATIONS))) for start in starts},
        expires=draw(st.booleans()),
    )


LOADABLE = schema_changes().filter(SchemaChange.can_be_loaded)
