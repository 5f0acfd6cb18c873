"""The agents' image: which tool, which command, which tag, which digest; and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from headrace.errors import HeadraceError
from headrace.image_manifests import manifests_file, manifests_of_image
from headrace.operations import image as images
from headrace.operations.image import (
    Image,
    build_command,
    described,
    find_tool,
    push,
    push_commands,
    tag_of,
    told_digest,
)
from headrace.toolchain import environments, places
from headrace_agents.code import RUNTIME_PACKAGE, code_digest

IMAGE = Image(repository="headrace/agents", tag="0123456789abcdef")
DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin-of-nobody")
    return folder


def script(folder: Path, name: str, text: str = "") -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("there", "wanted", "found"),
    [
        (("buildah", "docker", "podman"), None, "docker"),
        (("buildah", "podman"), None, "podman"),
        (("buildah",), None, "buildah"),
        (("buildah", "docker"), "buildah", "buildah"),
    ],
)
def test_the_tool_is_the_named_one_or_the_first_that_is_there(
    there: tuple[str, ...], wanted: str | None, found: str, path: Path
) -> None:
    for name in there:
        script(path, name)
    assert find_tool(wanted) == found


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (None, "no docker, no podman, no buildah on PATH: an image is built and pushed by one of them"),
        ("podman", "no podman on PATH: an image is built and pushed by one of them"),
        ("kaniko", "--tool: given kaniko; allowed: docker, podman, buildah"),
    ],
)
def test_a_tool_that_is_not_there_is_refused(wanted: str | None, message: str, path: Path) -> None:
    with pytest.raises(HeadraceError) as refused:
        find_tool(wanted)
    assert str(refused.value) == message


@pytest.mark.parametrize("tool", images.TOOLS)
def test_every_tool_is_told_the_base_the_tag_and_the_context(tool: str, tmp_path: Path) -> None:
    assert build_command(tool, IMAGE, "debian:bookworm-slim", tmp_path) == [
        *(tool, "build", "--file", f"{tmp_path}/Dockerfile"),
        *("--build-arg", "BASE=debian:bookworm-slim", "--tag", "headrace/agents:0123456789abcdef"),
        str(tmp_path),
    ]


def test_the_digest_is_asked_of_the_tool_that_pushed(tmp_path: Path) -> None:
    file = tmp_path / "digest"
    for tool in ("podman", "buildah"):
        assert push_commands(tool, IMAGE, file) == [[tool, "push", "--digestfile", str(file), IMAGE.name]]
    pushed, told = push_commands("docker", IMAGE, file)
    assert pushed == ["docker", "push", IMAGE.name]
    assert told == ["docker", "image", "inspect", "--format", "{{json .RepoDigests}}", IMAGE.name]


def test_a_push_tells_the_digest_that_the_stack_takes(path: Path) -> None:
    script(path, "buildah", f'printf {DIGEST} > "$3"')
    assert push(IMAGE, "buildah") == DIGEST
    assert IMAGE.at(DIGEST) == {
        "image": f"headrace/agents@{DIGEST}",
        "digest": DIGEST,
        "tag": "0123456789abcdef",
    }


def test_a_push_that_fails_says_why(path: Path) -> None:
    script(path, "podman", "echo 'unauthorized: no basic auth credentials' >&2; exit 125")
    with pytest.raises(HeadraceError, match=r"podman push .*: unauthorized: no basic auth credentials"):
        push(IMAGE, "podman")


def test_what_is_pushed_has_its_agents_manifests_in_a_file_by_its_digest(tmp_path: Path) -> None:
    with described(tmp_path) as keep:
        file = keep(DIGEST)
    assert list(file.parent.iterdir()) == [tmp_path / "stacks" / "images" / f"sha256-{'a' * 64}.json"]
    known = manifests_of_image(tmp_path, DIGEST)
    assert {"support_triage.agent:SupportTriage", "order_risk.agent:OrderRisk"} <= known.keys()
    assert known["order_risk.agent:OrderRisk"].code == code_digest(RUNTIME_PACKAGE, "order_risk")
    assert not manifests_of_image(tmp_path, f"sha256:{'b' * 64}")


def test_an_image_that_is_not_pushed_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(HeadraceError, match="refused"), described(tmp_path):
        raise HeadraceError("refused")
    assert list((tmp_path / "stacks" / "images").iterdir()) == []


def test_a_file_of_manifests_that_is_none_says_the_way_out(tmp_path: Path) -> None:
    file = manifests_file(tmp_path, DIGEST)
    file.parent.mkdir(parents=True)
    file.write_text("[]")
    with pytest.raises(HeadraceError, match="is none that this Headrace reads"):
        manifests_of_image(tmp_path, DIGEST)


def test_of_dockers_digests_the_repositorys_own_is_taken() -> None:
    others = [f"elsewhere/agents@sha256:{'b' * 64}", f"registry.example/headrace/agents@{DIGEST}"]
    assert told_digest(json.dumps(others), IMAGE) == DIGEST
    with pytest.raises(HeadraceError, match="pushed, but its digest was not told"):
        told_digest(json.dumps(others[:1]), IMAGE)
    with pytest.raises(HeadraceError, match="it said: nothing"):
        told_digest("", IMAGE)


def test_a_tag_changes_with_each_file_its_name_and_each_fact_and_with_nothing_else() -> None:
    files = {"a.py": b"a", "b.py": b"b"}
    tag = tag_of(files, "base", "flink")
    assert tag == tag_of(dict(reversed(files.items())), "base", "flink")
    others = [
        tag_of({"a.py": b"a", "b.py": b"c"}, "base", "flink"),
        tag_of({"a.py": b"a", "c.py": b"b"}, "base", "flink"),
        tag_of({"a.py": b"a"}, "base", "flink"),
        tag_of(files, "other", "flink"),
        tag_of(files, "base", "other"),
    ]
    assert len({tag, *others}) == 1 + len(others)


def test_the_tag_is_of_all_that_is_copied() -> None:
    named = {file.relative_to(places.CHECKOUT).as_posix() for file in images._sources()}
    assert {
        "agent_jobs/Dockerfile",
        "agent_jobs/docker-entrypoint.sh",
        "agent_jobs/headrace_agents/operator.py",
        "agent_jobs/order_risk/agent.py",
        "locks/image.txt",
    } <= named


def test_the_images_lock_is_the_agents_without_the_tests_tools() -> None:
    def pins(lock: Path) -> set[str]:
        return {line.split()[0] for line in lock.read_text().splitlines() if line[:1].isalnum()}

    image, agents = pins(environments.IMAGE_LOCK), pins(environments.AGENTS.lock)
    assert image <= agents
    left_out = {pin.partition("==")[0] for pin in agents - image}
    assert {"pytest", "hypothesis"} <= left_out
    assert "apache-flink" in {pin.partition("==")[0] for pin in image}


def test_the_image_runs_as_nobody_in_particular_and_names_no_host() -> None:
    text = images.DOCKERFILE.read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert "USER 9999:9999" in lines
    assert lines.index("USER 9999:9999") > max(
        at for at, line in enumerate(lines) if line.startswith(("RUN", "COPY"))
    )
    assert "--chown" not in text
    assert "://" not in text
    assert images.ENTRYPOINT.stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("repository", "tag", "message"),
    [
        (
            "Headrace/Agents",
            "1",
            "--repository: given 'Headrace/Agents'; allowed: lowercase names with / between them",
        ),
        ("", "1", "--repository: given ''; allowed: lowercase names with / between them"),
        (
            "agents:latest",
            "1",
            "--repository: given 'agents:latest'; allowed: no tag, which the content gives",
        ),
        ("agents", "-x", "--tag: given '-x'; allowed: letters, digits, dots, dashes, underscores"),
    ],
)
def test_refused_names(repository: str, tag: str, message: str) -> None:
    with pytest.raises(HeadraceError) as refused:
        Image(repository=repository, tag=tag)
    assert str(refused.value) == message


def test_a_registry_with_a_port_is_no_tag() -> None:
    assert Image(repository="registry.example:5000/agents", tag="1").name == "registry.example:5000/agents:1"
