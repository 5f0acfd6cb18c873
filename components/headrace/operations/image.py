"""The image of agents: laid out from what is installed here, built and pushed by the tool that is there."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headrace.environment.aws_parts import DIGEST
from headrace.errors import HeadraceError
from headrace.image_manifests import FOLDER, manifests_file
from headrace.toolchain import Runtimes, environments, places
from headrace.toolchain.console import Console, StepFailed
from headrace_agents.code import RUNTIME_PACKAGE

BASE = "debian:bookworm-slim"
"""Debian 12: its Python and its JRE are those that the locks are for."""
TOOLS = ("docker", "podman", "buildah")
"""In this order, where several are there."""
AGENT_JOBS = places.CHECKOUT / "agent_jobs"
DOCKERFILE, ENTRYPOINT = AGENT_JOBS / "Dockerfile", AGENT_JOBS / "docker-entrypoint.sh"
MANIFESTS = "manifests.json"
REPOSITORY = re.compile(r"[a-z0-9]+([._:/-]+[a-z0-9]+)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
TAG_DIGITS = 16


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image as it is named before it is pushed.

    Raises:
        HeadraceError: no registry takes such a repository or such a tag.
    """

    repository: str
    tag: str

    def __post_init__(self) -> None:
        if not REPOSITORY.fullmatch(self.repository):
            raise HeadraceError(
                f"--repository: given {self.repository!r}; allowed: lowercase names with / between them"
            )
        if ":" in self.repository.rpartition("/")[2]:
            raise HeadraceError(
                f"--repository: given {self.repository!r}; allowed: no tag, which the content gives"
            )
        if not TAG.fullmatch(self.tag):
            raise HeadraceError(
                f"--tag: given {self.tag!r}; allowed: letters, digits, dots, dashes, underscores"
            )

    @property
    def name(self) -> str:
        return f"{self.repository}:{self.tag}"

    def at(self, digest: str) -> dict[str, str]:
        """What the stack takes (``digest``), and what that is."""
        return {"image": f"{self.repository}@{digest}", "digest": digest, "tag": self.tag}


def find_tool(wanted: str | None) -> str:
    """The tool that is named, else the first that is on PATH.

    Raises:
        HeadraceError: there is none, or no such one.
    """
    if wanted is not None and wanted not in TOOLS:
        raise HeadraceError(f"--tool: given {wanted}; allowed: {', '.join(TOOLS)}")
    for tool in TOOLS if wanted is None else (wanted,):
        if shutil.which(tool):
            return tool
    raise HeadraceError(
        f"no {wanted or ', no '.join(TOOLS)} on PATH: an image is built and pushed by one of them"
    )


def content_tag(base: str) -> str:
    """Digits over all that decides an image's content: the same sources, the same tag, on every machine."""
    return tag_of(
        {str(file.relative_to(places.CHECKOUT)): file.read_bytes() for file in _sources()},
        base,
        # Flink's home stands under the digest of its own pins.
        Runtimes.locate().flink.parent.name,
    )


def tag_of(files: dict[str, bytes], *facts: str) -> str:
    total = hashlib.sha256()
    for name, content in sorted(files.items()):
        total.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\0".encode())
    for fact in facts:
        total.update(f"{fact}\0".encode())
    return total.hexdigest()[:TAG_DIGITS]


def _sources() -> Iterator[Path]:
    yield from (DOCKERFILE, ENTRYPOINT, AGENT_JOBS / "pyproject.toml", Path(__file__))
    yield from (environments.IMAGE_LOCK, environments.BUILD_LOCK)
    for package in sorted(AGENT_JOBS.glob("*/__init__.py")):
        yield from (
            file
            for file in sorted(package.parent.rglob("*"))
            if file.is_file() and "__pycache__" not in file.parts
        )


def build_command(tool: str, image: Image, base: str, context: Path) -> list[str]:
    return [
        *(tool, "build", "--file", str(context / DOCKERFILE.name), "--build-arg", f"BASE={base}"),
        *("--tag", image.name, str(context)),
    ]


def push_commands(tool: str, image: Image, digest_file: Path) -> list[list[str]]:
    """What pushes; Docker tells the digest only when it is asked afterwards."""
    if tool == "docker":
        told = ["docker", "image", "inspect", "--format", "{{json .RepoDigests}}", image.name]
        return [["docker", "push", image.name], told]
    return [[tool, "push", "--digestfile", str(digest_file), image.name]]


def build(image: Image, base: str, tool: str, console: Console) -> None:
    """Lay out the context and have it built.

    Raises:
        HeadraceError: with the end of the output of what failed.
    """
    if not base.strip() or base.startswith("-"):
        raise HeadraceError(f"--base: given {base!r}; allowed: the name of an image, such as {BASE}")
    with tempfile.TemporaryDirectory(prefix="headrace-image-") as scratch:
        context = Path(scratch)
        try:
            with console.step("image: files") as step:
                uv = environments.find_uv(step)
                target = ("--python", environments.AGENTS.python, "--target", context / "python")
                step.run(
                    uv, "pip", "install", *target, "--require-hashes", "--build-constraints",
                    environments.BUILD_LOCK, "--requirements", environments.IMAGE_LOCK,
                    cwd=places.CHECKOUT, env=environments.QUIET,
                )  # fmt: skip
                step.run(
                    uv, "pip", "install", *target, "--no-deps", "--no-build-isolation", AGENT_JOBS,
                    cwd=places.CHECKOUT, env=environments.QUIET,
                )  # fmt: skip
                command = manifest_command(context / MANIFESTS)
                step.run(*command, cwd=context, env={"PYTHONPATH": str(context / "python")})
                lay_out(context)
            with console.step(f"image: {tool}") as step:
                step.run(*build_command(tool, image, base, context))
        except StepFailed as failed:
            raise HeadraceError(str(failed)) from failed


def manifest_command(out: Path) -> list[str | Path]:
    """What writes the manifests of all agents of the image to `out`."""
    project = tomllib.loads((AGENT_JOBS / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    chosen = [part for name in packages if name != RUNTIME_PACKAGE for part in ("--package", name)]
    return [environments.AGENTS.python, "-m", RUNTIME_PACKAGE, "manifest", *chosen, "--out", out]


def lay_out(context: Path) -> None:
    """Flink's home and the files beside the Dockerfile; PyFlink's own copy of Flink's jars is left out."""
    shutil.copytree(Runtimes.locate().flink, context / "flink", symlinks=True)
    for part in ("lib", "opt"):
        shutil.rmtree(context / "python" / "pyflink" / part, ignore_errors=True)
    for file in (DOCKERFILE, ENTRYPOINT):
        shutil.copy2(file, context / file.name)


def push(image: Image, tool: str) -> str:
    """Push, and tell the digest that the registry keeps it under.

    Raises:
        HeadraceError: with the tool's own words; or it told no digest.
    """
    with tempfile.TemporaryDirectory(prefix="headrace-image-") as scratch:
        file = Path(scratch) / "digest"
        said = [_output(command) for command in push_commands(tool, image, file)][-1]
        return told_digest(file.read_text() if file.exists() else said, image)


@contextmanager
def described(project: Path) -> Iterator[Callable[[str], Path]]:
    """Manifests of the agents in these sources; call what it gives with the image's digest to keep them.

    Raises:
        HeadraceError: an agent's class does not load, or there is no environment of agents to load it in.
    """
    folder = project / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".next-", dir=folder) as scratch:
        written = Path(scratch) / MANIFESTS
        try:
            _output([str(each) for each in manifest_command(written)])
        except OSError as error:
            raise HeadraceError(
                f"the agents can't be loaded: {error}; run: {places.SETUP_COMMAND}"
            ) from error
        yield lambda digest: written.rename(manifests_file(project, digest))


def told_digest(said: str, image: Image) -> str:
    """Of a file with a digest alone, or of Docker's list of ``repository@digest``.

    Raises:
        HeadraceError: there is none of this repository.
    """
    if re.fullmatch(DIGEST, said.strip()):
        return said.strip()
    try:
        known = json.loads(said)
    except ValueError:
        known = []
    for each in known if isinstance(known, list) else []:
        repository, _, digest = str(each).partition("@")
        # Docker adds its registry's name to one without any.
        if re.fullmatch(DIGEST, digest) and f"/{repository}".endswith(f"/{image.repository}"):
            return digest
    raise HeadraceError(
        f"{image.name}: pushed, but its digest was not told; it said: {said.strip() or 'nothing'}"
    )


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HeadraceError(f"{' '.join(command)}: {done.stderr.strip() or f'returned {done.returncode}'}")
    return done.stdout
