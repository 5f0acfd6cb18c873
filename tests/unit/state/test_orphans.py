"""Which objects are orphans, over any listing; and when nothing may be said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.state.layout import StoredObject
from headrace.state.orphans import Judgement, NotJudged, judge
from headrace.state.snapshot import KeyedState, Metadata, Operator, StoredFile, Subtask

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLD = NOON - timedelta(hours=1)
AGENT = "triage"
JOBS = (f"{1:032x}", f"{2:032x}")


def stored(path: str, modified: datetime = OLD) -> StoredObject:
    bucket, _, key = path.removeprefix("s3://").partition("/")
    return StoredObject(bucket, key, 1, modified)


def checkpoint(job: int, number: int) -> str:
    return f"s3://checkpoints/{AGENT}/{JOBS[job]}/chk-{number}"


def shared(job: int, name: str) -> str:
    return f"s3://checkpoints/{AGENT}/{JOBS[job]}/shared/{name}"


def referring(*paths: str) -> Metadata:
    first, *others = (StoredFile(path, 1) for path in paths)
    keyed = KeyedState(11, 0, 720, (), first, tuple(("x.sst", file) for file in others))
    return Metadata(1, (Operator("0" * 32, "agent", "agent", 1, 720, None, (Subtask(0, keyed=(keyed,)),)),))


def judged(
    objects: list[StoredObject], retained: dict[str, Metadata], past: dict[str, str] | None = None
) -> Judgement:
    return judge(objects, retained, past or {}, {AGENT}, NOON)


def paths(judgement: Judgement) -> dict[str, str]:
    return {orphan.stored.path: orphan.why for orphan in judgement.orphans}


def test_what_a_checkpoint_of_another_job_refers_to_stays() -> None:
    file, lost, metadata = shared(0, "used"), shared(0, "lost"), f"{checkpoint(1, 4)}/_metadata"
    found = judged(
        [stored(file), stored(lost), stored(metadata)],
        {checkpoint(1, 4): referring(file)},
    )
    assert paths(found) == {lost: "no retained checkpoint or savepoint refers to it"}
    assert {each.path for each in found.live} == {file, metadata}


def test_each_orphan_says_why() -> None:
    whole, half = checkpoint(0, 4), checkpoint(0, 3)
    objects = [
        stored(f"{whole}/_metadata"),
        stored(f"{whole}/used"),
        stored(f"{whole}/not"),
        stored(f"{half}/x"),
    ]
    assert paths(judged(objects, {whole: referring(f"{whole}/used")})) == {
        f"{whole}/not": "chk-4 does not refer to it",
        f"{half}/x": "chk-3 is incomplete: it has no _metadata",
    }


def test_a_snapshot_past_its_history_takes_along_what_it_alone_refers_to() -> None:
    past, kept = checkpoint(0, 4), checkpoint(1, 1)
    alone, both = shared(0, "alone"), shared(0, "both")
    objects = [stored(path) for path in (f"{past}/_metadata", f"{kept}/_metadata", alone, both)]
    found = judged(objects, {past: referring(alone, both), kept: referring(both)}, {past: "too old"})
    assert paths(found).keys() == {f"{past}/_metadata", alone}
    assert paths(found)[f"{past}/_metadata"] == "too old"


def test_what_is_young_and_what_tasks_own_is_left_alone() -> None:
    young = stored(shared(0, "young"), NOON)
    owned = stored(f"s3://checkpoints/{AGENT}/{JOBS[0]}/taskowned/x")
    found = judged([young, owned], {})
    assert (found.young, found.task_owned, found.orphans) == ((young,), (owned,), ())


@pytest.mark.parametrize(
    "path",
    [
        "s3://checkpoints/stranger/" + "0" * 32 + "/chk-1/x",
        "s3://savepoints/stranger/savepoint-012345-0123456789ab/x",
        "s3://savepoints/_erasures/stranger/savepoint-012345-0123456789ab/x",
    ],
)
def test_an_agent_that_is_not_declared_is_refused(path: str) -> None:
    with pytest.raises(NotJudged, match="stranger, "):
        judged([stored(path)], {})


@pytest.mark.parametrize(
    "path",
    [
        f"s3://checkpoints/{AGENT}/not-a-job/chk-1/x",
        f"s3://checkpoints/{AGENT}/{JOBS[0]}/chk-x/y",
        f"s3://checkpoints/{AGENT}/{JOBS[0]}/x",
        f"s3://checkpoints/{AGENT}/{JOBS[0]}/chk-1",
        f"s3://savepoints/{AGENT}/backup/x",
        f"s3://savepoints/_mine/{AGENT}/savepoint-012345-0123456789ab/x",
        f"s3://elsewhere/{AGENT}/{JOBS[0]}/chk-1/x",
    ],
)
def test_what_has_no_place_is_refused(path: str) -> None:
    with pytest.raises(NotJudged, match="none of the places"):
        judged([stored(path)], {})


def test_a_file_that_is_missing_is_refused_with_the_snapshot() -> None:
    folder = checkpoint(0, 1)
    with pytest.raises(NotJudged, match="chk-1 refers to what is not in the buckets") as refusal:
        judged([stored(f"{folder}/_metadata")], {folder: referring("s3://other-bucket/file")})
    assert "s3://other-bucket/file" in str(refusal.value)


FILES = [shared(job, name) for job in (0, 1) for name in "abcdef"]
SNAPSHOTS = [checkpoint(job, number) for job in (0, 1) for number in range(4)]


@given(
    references=st.dictionaries(st.sampled_from(SNAPSHOTS), st.sets(st.sampled_from(FILES), min_size=1)),
    past=st.sets(st.sampled_from(SNAPSHOTS)),
    old=st.sets(st.sampled_from(FILES)),
)
def test_never_is_an_orphan_what_a_retained_snapshot_refers_to(
    references: dict[str, set[str]], past: set[str], old: set[str]
) -> None:
    objects = [stored(path, OLD if path in old else NOON) for path in FILES]
    objects += [stored(f"{folder}/_metadata") for folder in references]
    retained = {folder: referring(*sorted(files)) for folder, files in references.items()}
    found = judged(objects, retained, dict.fromkeys(past, "past"))
    needed = {path for folder in references.keys() - past for path in references[folder]}
    assert paths(found).keys() == (old - needed) | {f"{each}/_metadata" for each in references.keys() & past}
    parts = [*found.live, *(orphan.stored for orphan in found.orphans), *found.young, *found.task_owned]
    assert sorted(parts) == sorted(objects)
