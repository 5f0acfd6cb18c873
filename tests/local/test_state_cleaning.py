"""Orphans are removed exactly, also by a command that is killed in its middle; in doubt nothing is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.waiting import until
from tests.snapshots.bucket import AGENTS, DAY_S, Bucket, two_hundred_checkpoints
from tests.snapshots.flink import write_snapshots
from tests.snapshots.store import StoreAlone, store_alone

TIMEOUT_S = 120
FAILED = 1


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Bucket:
    return two_hundred_checkpoints(tmp_path_factory.mktemp("pattern"))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreAlone]:
    with store_alone(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def store(running: StoreAlone, pattern: Bucket) -> StoreAlone:
    """The same content for each test."""
    for bucket in pattern.data.iterdir():
        shutil.rmtree(running.data / bucket.name)
        shutil.copytree(bucket, running.data / bucket.name)
    return running


def refused(store: StoreAlone, *reasons: str) -> None:
    before = store.objects()
    done = store.stack.run("state", "clean", "--yes")
    said = " ".join(done.output.split())
    assert done.code == FAILED
    assert all(reason in said for reason in reasons), said
    assert store.objects() == before


def test_the_bucket_is_what_it_has_to_be(pattern: Bucket) -> None:
    assert len(list(pattern.data.glob("checkpoints/*/*/chk-*/"))) - 2 * 4 == 200  # 8 are being written
    assert len(list(pattern.data.glob("savepoints/**/_metadata"))) == 3
    assert len([path for path in pattern.live if path.endswith("/_metadata")]) == 2 * 3 * 3 + 3
    assert len([path for path in pattern.live if "/shared/" in path]) == 2 * (6 + 3 * 10) + 1
    assert len(pattern.orphans) == 713
    assert not pattern.live & pattern.orphans


def test_what_would_go_is_listed_and_nothing_is_changed(store: StoreAlone, pattern: Bucket) -> None:
    before = store.objects()
    said = store.stack.json("state", "clean")
    assert {each["path"] for each in said["orphans"]} == pattern.orphans
    assert said["removed"] is False
    assert said["bytes"] == 100 * len(pattern.orphans)
    assert said["left"]["live"] == len(pattern.live)
    assert said["left"]["young"] + said["left"]["task_owned"] == len(pattern.left_alone)
    assert store.objects() == before == pattern.live | pattern.orphans | pattern.left_alone


def test_exactly_the_orphans_are_removed(store: StoreAlone, pattern: Bucket) -> None:
    said = store.stack.json("state", "clean", "--yes")
    assert {each["path"] for each in said["orphans"]} == pattern.orphans
    assert store.objects() == pattern.live | pattern.left_alone
    assert store.stack.json("state", "clean", "--yes")["orphans"] == []


def test_one_agents_orphans_can_be_removed_alone(store: StoreAlone, pattern: Bucket) -> None:
    store.stack.succeed("state", "clean", AGENTS[1], "--yes")
    of_it = {path for path in pattern.orphans if f"/{AGENTS[1]}/" in path}
    assert of_it
    assert store.objects() == (pattern.live | pattern.left_alone | pattern.orphans) - of_it


def test_killed_in_the_middle_it_has_removed_orphans_alone_and_can_be_run_again(
    store: StoreAlone, pattern: Bucket
) -> None:
    needed = pattern.live | pattern.left_alone
    for _ in range(2):
        before = store.objects()
        command = store.stack.start("state", "clean", "--yes")
        until("something is removed", lambda before=before: store.objects() < before, TIMEOUT_S)  # type: ignore[misc]
        command.kill()
        command.communicate()
        assert needed < store.objects(), "it was killed too late to show anything"
    store.stack.succeed("state", "clean", "--yes")
    assert store.objects() == needed


def test_nothing_is_removed_while_an_unknown_jobs_state_is_there(store: StoreAlone) -> None:
    stranger = f"s3://checkpoints/stranger/{9:032x}"
    Bucket(store.data).object(f"{stranger}/chk-4/x")
    refused(store, f"stranger, job {9:032x}: 1 objects", ", ".join(sorted(AGENTS)), "Declare the agent again")


def test_nothing_is_removed_while_savepoints_of_an_unknown_agent_are_there(store: StoreAlone) -> None:
    Bucket(store.data).object("s3://savepoints/_periodic/stranger/savepoint-aaaaaa-bbbbbbbbbbbb/x")
    refused(store, "stranger, savepoints: 1 objects")


def test_nothing_is_removed_while_something_has_no_place_in_flinks_layout(store: StoreAlone) -> None:
    Bucket(store.data).object(f"s3://checkpoints/{AGENTS[0]}/by-hand/chk-1/_metadata-copy")
    refused(store, f"s3://checkpoints/{AGENTS[0]}/by-hand/chk-1/_metadata-copy")


@pytest.mark.parametrize("content", ["changelog", "merged files"])
def test_nothing_is_removed_while_metadata_is_not_understood(store: StoreAlone, content: str) -> None:
    path = f"s3://checkpoints/{AGENTS[0]}/{2:032x}/chk-25/_metadata"
    write_snapshots([(store.file(path), 25, content)])
    Bucket(store.data).age(path, DAY_S)
    refused(store, f"{path} can't be read", "is not known, so nothing is removed")


def test_nothing_is_removed_while_metadata_is_cut_off(store: StoreAlone) -> None:
    path = store.file(f"s3://checkpoints/{AGENTS[0]}/{2:032x}/chk-25/_metadata")
    path.write_bytes(path.read_bytes()[:-700])
    refused(store, "can't be read")


def test_nothing_is_removed_while_a_snapshot_refers_to_what_is_not_there(
    store: StoreAlone, pattern: Bucket
) -> None:
    path = next(path for path in sorted(pattern.live) if "/shared/" in path)
    store.file(path).unlink()
    refused(store, "refers to what is not in the buckets", path)


def test_history_is_not_dropped_while_flink_does_not_say_which_jobs_run(store: StoreAlone) -> None:
    before = store.objects()
    done = store.stack.run("state", "clean", "--history", "--yes")
    assert done.code == FAILED
    assert "which jobs run" in " ".join(done.output.split())
    assert store.objects() == before


def test_snapshots_are_listed_with_the_one_to_go_on_from(store: StoreAlone, pattern: Bucket) -> None:
    said = store.stack.json("state", "list")
    metadata = {path.removesuffix("/_metadata") for path in pattern.live if path.endswith("/_metadata")}
    assert {each["path"] for each in said} == metadata
    assert [each["agent"] for each in said if each["goes_on_from"]] == sorted(AGENTS)
    savepoints = {each["kind"] for each in store.stack.json("state", "list", AGENTS[0])}
    assert savepoints == {"checkpoint", "savepoint", "periodic savepoint", "savepoint of an erasure"}


def test_people_get_the_paths_that_commands_take_and_what_is_done_next(
    store: StoreAlone, pattern: Bucket
) -> None:
    listed = store.stack.succeed("state", "list", AGENTS[0])
    savepoint = next(
        path for path in pattern.live if "_periodic" in path and path.endswith("/_metadata")
    ).removesuffix("/_metadata")
    assert savepoint in listed
    assert "3 savepoints" in listed
    found = store.stack.succeed("state", "clean")
    assert f"would be removed: {len(pattern.orphans)} objects" in found
    assert "--yes does it" in found
    assert f"{len(pattern.live)} in use" in found


def test_a_snapshot_that_is_not_there_is_refused_with_those_that_are(store: StoreAlone) -> None:
    done = store.stack.run("state", "describe", AGENTS[0], "--snapshot", "s3://savepoints/gone")
    said = " ".join(done.output.split())
    assert done.code == FAILED
    assert f"agent {AGENTS[0]} has no snapshot s3://savepoints/gone" in said
    assert f"s3://checkpoints/{AGENTS[0]}/{4:032x}/chk-25" in said


def test_a_store_that_is_away_is_said(tmp_path: Path) -> None:
    with store_alone(tmp_path) as store:
        stack = store.stack
    done = stack.run("state", "list")
    assert done.code == FAILED
    assert "the object store does not answer" in " ".join(done.output.split())
