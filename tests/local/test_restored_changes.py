"""What verification says of a change of memory is what the operator does with what Flink has restored."""

from __future__ import annotations

from pathlib import Path

from hypothesis import Phase, given, settings

from tests.pipeline.sizes import in_test_local_at_full_size
from tests.verification.agents import FIRST
from tests.verification.changed import CHANGES, change_and_key
from tests.verification.savepoints import restored_changes, spec_of, written_changes
from tests.verification.schema_changes import KEYS, LOADABLE, SchemaChange

pytestmark = in_test_local_at_full_size("that a verification is right, with state that Flink restored")

MANY = 200


def test_the_operator_goes_on_from_what_verification_passes_and_from_nothing_else(tmp_path: Path) -> None:
    changes = drawn(MANY)
    file = tmp_path / "changes.json"
    file.write_bytes(CHANGES.dump_json(changes))
    shards = len(changes) * len(KEYS)
    spec = spec_of(FIRST, shards=shards, max_parallelism=2 * shards)
    told = restored_changes(spec, tmp_path, file, written_changes(spec, tmp_path, file))

    assert sorted(told) == list(range(shards))
    wrong = [
        f"key {key} of {changes[number].model_dump_json()}: proven {is_proven}, went on {goes_on}"
        for shard, (is_proven, goes_on) in told.items()
        if is_proven != goes_on
        for number, key in [change_and_key(shard)]
    ]
    assert not wrong, "\n".join(wrong)
    proven = sum(is_proven for is_proven, _ in told.values())
    assert shards / 10 < proven < shards * 9 / 10, f"{proven} of {shards} say little"


def drawn(many: int) -> tuple[SchemaChange, ...]:
    """Of hypothesis, which does not run a test for each here: all of them are restored at once."""
    found: list[SchemaChange] = []

    @settings(max_examples=many, deadline=None, database=None, phases=[Phase.generate])
    @given(change=LOADABLE)
    def take(change: SchemaChange) -> None:
        found.append(change)

    take()
    return tuple(found)
