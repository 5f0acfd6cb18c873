"""What taking one version of an agent for another leads to, from what both are, before anything is changed.

Pure. What is said of state is said of what the running version's schemas let it write; whether every entry of
the real state can be read, only reading it shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from headrace.plan.schema_reading import gained, lost, reading
from headrace_agents.manifest import Manifest, MemoryShape, Shape
from headrace_agents.spec import AgentJobSpec

Kind = Literal["nothing", "restart_with_state", "refused"]
"""Settings that are changed in place are no change of the declaration: `headrace agents set`."""


@dataclass(frozen=True)
class AgentVersion:
    """What runs, or is to run."""

    spec: AgentJobSpec
    manifest: Manifest | None
    """None where it was started by a Headrace that wrote none, or another one."""

    @classmethod
    def read(cls, spec: Mapping[str, Any], manifest: str) -> AgentVersion:
        """Of what is recorded as JSON. Raises ValidationError for a specification of another Headrace."""
        try:
            known = Manifest.model_validate_json(manifest) if manifest else None
        except ValidationError:
            known = None
        return cls(AgentJobSpec.model_validate(spec), known)


@dataclass(frozen=True)
class Reason:
    """One thing that is different."""

    changed: str
    """What: ``memory``, ``shards``."""
    was: str
    is_now: str
    means: str
    way_out: str = ""
    """Where it is refused: what to do instead."""

    @property
    def refuses(self) -> bool:
        return bool(self.way_out)

    def __str__(self) -> str:
        step = f" ({self.was} -> {self.is_now})" if self.was or self.is_now else ""
        return f"{self.changed}{step}: {self.means}" + (f". {self.way_out}" if self.way_out else "")


@dataclass(frozen=True)
class Judgement:
    """What will happen, and why."""

    agent: str
    kind: Kind
    reasons: tuple[Reason, ...] = ()

    @property
    def text(self) -> str:
        """For a person; a line for each reason, those that refuse first."""
        head = {
            "nothing": "goes on as it is",
            "restart_with_state": "is stopped with a savepoint, and goes on from it with its state",
            "refused": "can't go on with its state, so this is refused",
        }[self.kind]
        ordered = sorted(self.reasons, key=lambda reason: not reason.refuses)
        return "\n".join((f"agent {self.agent} {head}", *(f"  - {reason}" for reason in ordered)))


def judge(old: AgentVersion, new: AgentVersion) -> Judgement:
    """What becomes of the running version `old` where `new` is declared.

    Raises:
        ValueError: they are versions of different agents; a name is what an agent is known by.
    """
    agent = new.spec.name
    if old.spec.name != agent:
        raise ValueError(f"{old.spec.name} is another agent than {agent}")
    if old.spec.digest() == new.spec.digest() and flink_step(old, new) is None:
        return Judgement(agent, "nothing")
    reasons = (*_of_manifests(old, new), *_of_specs(old.spec, new.spec))
    refused = any(reason.refuses for reason in reasons)
    return Judgement(agent, "refused" if refused else "restart_with_state", reasons)


def same_code(old: AgentJobSpec, new: AgentJobSpec) -> bool:
    """Whether one reads what the other wrote without a proof."""
    return (old.code, old.entry_point) == (new.code, new.entry_point)


def flink_step(old: AgentVersion, new: AgentVersion) -> tuple[str, str] | None:
    """From which Flink to which; None where it is the same, or not known of both."""
    was, now = (each.manifest.flink_version if each.manifest else "" for each in (old, new))
    return (was, now) if was and now and was != now else None


ANOTHER_NAME = "Declare it under another name, which begins with no state, or leave it as it is"
PROOF = "only reading the real state tells"
REWRITE = "Raise memory_version and add `@migrates({version})`"
_FIXED = {
    "shards": "state is kept per shard, and a key's shard follows from their number",
    "max_parallelism": "the key group of a shard follows from it, and a savepoint is divided by key groups",
    "key": "memory is kept by the key's values, so none would be found again",
}
_SAID_BY_MANIFEST = frozenset({"code", "entry_point"})
_MEANS = {
    "parallelism": "shards are divided among other subtasks, with their state",
    "flink_configuration": "the job starts with other options of Flink",
    "settings": (
        "a setting that the declaration changes restarts the job. `headrace agents set` changes one in place;"
        " what was set so stays over the declared one"
    ),
    "model": "runs start with another model or other limits; answers that are journaled stay",
    "inputs": "a table that is new is read from the beginning of its topic",
}


def _of_specs(old: AgentJobSpec, new: AgentJobSpec) -> Iterator[Reason]:
    for field in AgentJobSpec.model_fields:
        was, now = getattr(old, field), getattr(new, field)
        if was == now or field in _SAID_BY_MANIFEST:
            continue
        if field in _FIXED:
            yield Reason(field, _short(was), _short(now), _FIXED[field], ANOTHER_NAME)
        elif isinstance(was, dict) and isinstance(now, dict):
            names = ", ".join(sorted(key for key in was | now if was.get(key) != now.get(key)))
            yield Reason(field, "", "", f"{names}: {_MEANS.get(field, 'the job starts with it')}")
        else:
            plain = isinstance(was, int | str | tuple) and isinstance(now, int | str | tuple)
            step = (_short(was), _short(now)) if plain and field != "inputs" else ("", "")
            yield Reason(field, *step, _MEANS.get(field, "the job starts with what is declared now"))


def _of_manifests(old: AgentVersion, new: AgentVersion) -> Iterator[Reason]:
    before, after = old.manifest, new.manifest
    if before is None or after is None:
        if old.spec.code != new.spec.code:
            unknown = "the running version has no manifest" if before is None else "there is no manifest"
            yield Reason("code", "", "", f"{unknown}, so it is judged by its declaration alone: {PROOF}")
        return
    yield from _code(before, after)
    if before.code == after.code and old.spec.code != new.spec.code:
        yield Reason("image", "", "", "what the code stands on may be other; the code is the same")
    if step := flink_step(old, new):
        yield Reason("Flink", *step, _flink_means(*step))
    if after.state_format < before.state_format:
        means = "this runtime does not read what the running one writes"
        formats = (str(before.state_format), str(after.state_format))
        yield Reason("format of state", *formats, means, "Go on with that runtime or a later one")
    elif after.state_format > before.state_format:
        formats = (str(before.state_format), str(after.state_format))
        means = "state is written anew as it is used; the runtime before this one can't read that"
        yield Reason("format of state", *formats, means)
    yield from _operators(before, after)
    yield from _memory(before, after)
    yield from _events(before, after)
    yield from _decisions(before, after)
    yield from _steps(before, after)


def _flink_means(old: str, new: str) -> str:
    """By Flink's table of compatible savepoints: a later one reads what an earlier one of its major wrote."""
    was, now = (tuple(map(int, each.split(".")[:2])) for each in (old, new))
    if was[0] == now[0] and now >= was:
        return "it goes on from a savepoint of the earlier one"
    return f"Flink promises no way from the savepoint of a later one, or over a major version: {PROOF}"


def _code(old: Manifest, new: Manifest) -> Iterator[Reason]:
    if old.runtime_version != new.runtime_version:
        yield Reason("runtime", old.runtime_version, new.runtime_version, "runs go on in another runtime")
    if old.entry_point != new.entry_point:
        means = "another class decides, with the memory that this one kept"
        yield Reason("entry_point", old.entry_point, new.entry_point, means)
    prompts = sorted(
        name for name in old.prompts | new.prompts if old.prompts.get(name) != new.prompts.get(name)
    )
    if prompts:
        means = (
            f"{', '.join(prompts)}: runs in flight do those steps again whose input is another, with the same"
            " idempotency keys"
        )
        yield Reason("prompts", "", "", means)
    if old.python_code != new.python_code:
        step = (old.python_code[:8], new.python_code[:8])
        yield Reason("code", *step, "runs in flight go on with it: steps that are the same are read back")
    elif old.code != new.code and not prompts:
        yield Reason("files of the package", old.code[:8], new.code[:8], "the job starts with them")


def _operators(old: Manifest, new: Manifest) -> Iterator[Reason]:
    before, after = ({each.uid: each for each in one.operators} for one in (old, new))
    gone, come = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    for uid in gone:
        hint = f"; new are {', '.join(come)}: was it renamed?" if come else ""
        yield Reason(
            "operator",
            uid,
            "none",
            f"a savepoint knows state by the operator's id, so that of {uid} would find no place{hint}",
            f"Give the operator its id again: uid {uid!r}",
        )
    for uid in sorted(before.keys() & after.keys()):
        if missing := sorted(set(before[uid].states) - set(after[uid].states)):
            way_out = f"Give the state its name again: {', '.join(missing)}"
            means = "state is known by its name, so nobody would read what these hold"
            yield Reason(f"states of operator {uid}", ", ".join(missing), "none", means, way_out)
    if come and not gone:
        yield Reason("operators", "", ", ".join(come), "they start without state")


def _memory(old: Manifest, new: Manifest) -> Iterator[Reason]:
    before, after = old.memory, new.memory
    versions = (f"version {before.version}", f"version {after.version}")
    if after.version < before.version:
        yield Reason(
            "memory",
            *versions,
            "memories of a later version are there, which this code can't read",
            f"Set memory_version to {before.version} or more",
        )
    elif after.version > before.version:
        yield from _migrated(before, after, versions)
    else:
        yield from _same_version(before, after, changed=old.python_code != new.python_code)


def _migrated(old: MemoryShape, new: MemoryShape, versions: tuple[str, str]) -> Iterator[Reason]:
    wanted = range(old.version, new.version)
    if missing := [str(version) for version in wanted if version not in new.migrates_from]:
        yield Reason(
            "memory",
            *versions,
            f"no migration starts from version {', '.join(missing)}",
            f"Add `@migrates({missing[0]})`",
        )
        return
    many = "1 migration" if len(wanted) == 1 else f"{len(wanted)} migrations"
    yield Reason(
        "memory", *versions, f"{many}, of each memory when it is used; whether they take all, {PROOF}"
    )
    yield from _dropped_migrations(old, new)


def _dropped_migrations(old: MemoryShape, new: MemoryShape) -> Iterator[Reason]:
    """Memory is migrated when it is changed: some of an earlier version may still be there."""
    dropped = sorted(set(old.migrates_from) - set(new.migrates_from))
    if dropped:
        means = (
            f"memories of version {', '.join(map(str, dropped))} could not be read any more. Are any left?"
            f" `headrace agents migrate` before this writes them anew; otherwise {PROOF}"
        )
        yield Reason("migrations", _short(old.migrates_from), _short(new.migrates_from), means)


def _same_version(old: MemoryShape, new: MemoryShape, *, changed: bool) -> Iterator[Reason]:
    yield from _dropped_migrations(old, new)
    if old.shape == new.shape and not (changed and new.shape.untold):
        return
    found = reading(old.shape, new.shape)
    field = f"memory.{found.where}" if found.where else "memory"
    if found.answer == "fails":
        way_out = REWRITE.format(version=old.version)
        yield Reason(field, "", "", f"what was kept can't be read: {found.why}", way_out)
        return
    if found.answer == "untold":
        yield Reason(field, "", "", f"can't be told from schemas, {PROOF}: {found.why}")
    if more := gained(old.shape, new.shape):
        yield Reason("memory", "", ", ".join(more), "new, so memories that are there get the defaults")
    if less := lost(old.shape, new.shape):
        yield Reason("memory", ", ".join(less), "", "removed: what memories hold of it is lost")


def _events(old: Manifest, new: Manifest) -> Iterator[Reason]:
    """What waits in state, or comes from people who were asked by the old version."""
    yield from _waiting("reminders", _by_name(old.reminders), _by_name(new.reminders))
    answers = tuple({} if each.answers is None else {"answers": each.answers} for each in (old, new))
    yield from _waiting("answers", *answers)


def _waiting(what: str, old: Mapping[str, Shape], new: Mapping[str, Shape]) -> Iterator[Reason]:
    for name, shape in sorted(old.items()):
        if name not in new:
            yield Reason(what, name, "none", "those that are still to come become dead letters")
        elif shape != new[name]:
            found = reading(shape, new[name])
            if found.answer != "reads":
                sure = "become" if found.answer == "fails" else "may become"
                at = f"{found.where}: " if found.where else ""
                means = f"those that are still to come {sure} dead letters: {at}{found.why}"
                yield Reason(f"{what} ({name})", "", "", means)


def _decisions(old: Manifest, new: Manifest) -> Iterator[Reason]:
    before, after = _by_name(old.decisions), _by_name(new.decisions)
    names = sorted(
        name
        for name in before | after
        if (before[name].written if name in before else None)
        != (after[name].written if name in after else None)
    )
    if names:
        yield Reason("decisions", "", "", f"{', '.join(names)}: readers of the topic get another form")


def _steps(old: Manifest, new: Manifest) -> Iterator[Reason]:
    before, after = set(old.steps.names), set(new.steps.names)
    if before != after:
        step = (
            ", ".join(sorted(before - after)) or "none gone",
            ", ".join(sorted(after - before)) or "none new",
        )
        yield Reason("steps", *step, "runs in flight make steps of another name anew")


def _by_name(shapes: tuple[Shape, ...]) -> dict[str, Shape]:
    return {shape.name: shape for shape in shapes}


def _short(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
