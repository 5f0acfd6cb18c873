"""Manifests of the agents in an image, in a file by the image's digest: previews read that, not the image.

`headrace image push` writes it; it is committed with the `agents_image` that a declaration names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from headrace.errors import HeadraceError
from headrace_agents.manifest import Manifest, Manifests

FOLDER = Path("stacks", "images")
"""In the project."""


def manifests_file(project: Path, digest: str) -> Path:
    """Where the manifests are of the image with that digest, ``sha256:`` and 64 digits."""
    return project / FOLDER / f"{digest.replace(':', '-')}.json"


def manifests_of_image(project: Path, digest: str) -> Mapping[str, Manifest]:
    """By entry point; none where nobody has written them down.

    Raises:
        HeadraceError: the file is not what this Headrace writes, which nothing has to fail for.
    """
    file = manifests_file(project, digest)
    try:
        return Manifests.model_validate_json(file.read_bytes()).agents
    except FileNotFoundError:
        return {}
    except ValidationError as error:
        raise HeadraceError(
            f"{file} is none that this Headrace reads: previews judge by the declaration alone, as without it"
            f" ({error.error_count()} problems, the first: {error.errors()[0]['msg']})"
        ) from error
